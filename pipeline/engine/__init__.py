"""Engine: brings documents through the stages to their ends, with bounded memory.

The program (pipeline/app) imports engine, observer, breaker, retry, quarantine and error_reporter.
Stages import nothing from here: they know the contracts pipeline/stage.py and dispatcher.py.
"""
