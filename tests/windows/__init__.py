"""Tests of what is otherwise on Windows, and the script that runs tests there under Wine."""
