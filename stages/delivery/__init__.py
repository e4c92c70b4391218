"""Delivery: puts documents into their folders, durable, each once, through crashes and faults.

stages/write.py calls the steps; see docs/delivery.md for the protocol. Others may import lanes and
watchdog, to touch a folder that may hang, and staging and volumes, to build the stage.
"""
