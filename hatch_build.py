"""Compiles what every request computes, where a wheel is built."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from setuptools import Distribution
from setuptools.errors import BaseError, CCompilerError

PACKAGE = "jv_session_mw"


class CustomBuildHook(BuildHookInterface):
    """Puts the modules that `pyproject.toml` names into a wheel compiled, beside their sources.

    An editable install stays as it is, so that what is edited is what runs. Without a C compiler,
    or on another Python than CPython, the wheel is one of pure Python, which does the same.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable" or sys.implementation.name != "cpython":
            return
        self._directory = TemporaryDirectory()
        sources = [f"{PACKAGE}/{module}.py" for module in self.config["compile"]]
        try:
            built = _compile(sources, Path(self._directory.name))
        except (SystemExit, OSError, BaseError, CCompilerError) as error:
            self.app.display_warning(f"{PACKAGE} is built as pure Python: {error!r}")
            return
        build_data["force_include"].update(built)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_directory"):
            self._directory.cleanup()


def _compile(sources: list[str], directory: Path) -> dict[str, str]:
    """Compile into *directory*; return where each file is, and where it belongs in the wheel."""
    from mypyc.build import mypycify  # there is none for other Pythons than CPython

    # What is merely imported is looked at for its types, whatever else is wrong with it.
    options = ["--config-file=", "--follow-imports=silent", f"--cache-dir={directory / 'cache'}"]
    extensions = mypycify(
        [*options, *sources], group_name=PACKAGE, target_dir=str(directory), debug_level="0"
    )
    library = directory / "library"
    command = Distribution({"ext_modules": extensions}).get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(library), str(directory / "objects")
    command.ensure_finalized()
    command.run()
    built = [path for path in library.rglob("*") if path.is_file()]
    return {str(path): str(path.relative_to(library)) for path in built}
