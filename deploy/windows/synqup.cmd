@echo off
rem Synqup from this folder, with the Python that lies beside it.
"%~dp0runtime\python.exe" -X utf8 -c "from pipeline.app.cli import main; main()" %*
