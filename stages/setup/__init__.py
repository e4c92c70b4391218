"""Set-up: what `synqup init` and `synqup companies` know of packages, tables and companies.

All modules may be imported; the dialogue itself is in pipeline/app.
"""
