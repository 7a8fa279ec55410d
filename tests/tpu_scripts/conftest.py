"""A fake cloud, a config for it, and the scripts run as a user runs them."""

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.tpu_scripts.fake_gcloud import Cloud, end_processes

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "tpu_scripts"
# As for the scripts themselves.
sys.path.append(str(SCRIPTS))
from pod.main import main  # noqa: E402

# Two hosts; everything that waits waits shortly.
CONFIG = """
name = "demo"
project = "my-project"
zone = "us-east5-a"
poll_seconds = 0.05
{top}
[tpu]
accelerator_type = "v5e-8"
slices = 2
price_per_chip_hour = 1.5
{tpu}
[deadlines]
assignment = 1
provisioning = 1
ready = 0.5
deletion = 0.05
[watch]
backoff_seconds = 0.1
settle_seconds = 0.2
silent_minutes = 0.01
{watch}
{tables}
"""

# uv, as far as setup calls it: an environment that has this interpreter's packages.
UV = f"""#!/bin/sh
set -e
site=$({sys.executable} -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
echo "$PWD $*" >>"$HOME/uv_calls"
[ ! -e "$HOME/uv_fails" ] || {{ echo 'error: no route to the index "x"' >&2; exit 2; }}
case $1:$2 in
venv:*) {sys.executable} -m venv --without-pip .venv ;;
pip:sync) printf '%s\\n%s\\n' "$site" "$PWD" >"$(echo .venv/lib/python3*/site-packages)/own.pth" ;;
pip:install)
    printf '#!/bin/sh\\nexec "%s/.venv/bin/python" -m biobert_jax "$@"\\n' "$PWD" >.venv/bin/biobert
    chmod +x .venv/bin/biobert ;;
esac
"""
# Programs that tests launch.
PROGRAMS = {
    "uv": UV,
    # Its arguments, byte for byte.
    "keep_arguments": '#!/bin/sh\nprintf "%s\\0" "$@" >"$HOME/arguments.new"\n'
    'mv "$HOME/arguments.new" "$HOME/arguments"\n',
    "wait_for_end": "#!/bin/sh\necho waiting\n"
    'while [ ! -e "$HOME/end" ]; do sleep 0.05; done\nexit "$(cat "$HOME/end")"\n',
}


class Done(NamedTuple):
    """What a script has printed."""

    stdout: str
    stderr: str


@dataclass
class Run:
    """A run of scripts against a cloud of its own."""

    folder: Path
    cloud: Cloud
    variables: dict[str, str] = field(default_factory=dict)
    name: str = "run.toml"

    @property
    def config(self) -> Path:
        """The config's file."""
        return self.folder / self.name

    def configure(self, top="", tpu="", watch="", tables="") -> None:
        """Writes the config, with more lines in places."""
        self.config.write_text(CONFIG.format(top=top, tpu=tpu, watch=watch, tables=tables))

    def command(self, script: str, *args: str) -> list[str]:
        """The words of a script's call."""
        return [str(SCRIPTS / script), "--config", str(self.config), *args]

    def environment(self) -> dict[str, str]:
        """What a script sees."""
        return {**os.environ, **self.cloud.environment(), **self.variables}

    def __call__(self, script: str, *args: str, code: int = 0, stdin: str = ""):
        """Runs a script in this process, which is faster; it must end with the code."""
        handler = signal.getsignal(signal.SIGTERM)
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment().items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    returned = main(script, self.command(script, *args)[1:])
                except SystemExit as ended:
                    returned = ended.code
                finally:
                    signal.signal(signal.SIGTERM, handler)
        assert returned == code, out.getvalue() + err.getvalue()
        return Done(out.getvalue(), err.getvalue())

    def process(self, script: str, *args: str, **options) -> subprocess.Popen:
        """A script as a process of its own, as users start it."""

        def heed_ctrl_c():  # which a shell's background jobs, tests among them, are told to ignore
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        command = self.command(script, *args)
        return subprocess.Popen(
            command, env=self.environment(), text=True, preexec_fn=heed_ctrl_c, **options
        )

    def fails(self, script: str, *args: str) -> str:
        """The one line that a script ends with."""
        lines = self(script, *args, code=1).stderr.splitlines()
        errors = [line for line in lines if line.startswith("error: ")]
        assert len(errors) == 1 and lines[-1] == errors[0], lines
        return errors[0]


@pytest.fixture(scope="session")
def programs(tmp_path_factory) -> Path:
    """A folder of programs that workers have."""
    folder = tmp_path_factory.mktemp("programs")
    for name, text in PROGRAMS.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def run(tmp_path, programs):
    """A run of two slices of one host each, by default."""
    cloud = Cloud(tmp_path / "cloud").start(hosts=1, bin=str(programs))
    made = Run(tmp_path, cloud)
    made.configure()
    yield made
    for node in cloud.nodes():
        cloud.forget_node(node)


@pytest.fixture(scope="module")
def standing(tmp_path_factory, programs):
    """One that is created and set up, for a file of tests."""
    folder = tmp_path_factory.mktemp("standing")
    made = Run(folder, Cloud(folder / "cloud").start(hosts=1, bin=str(programs)))
    made.configure()
    made("create", "--yes")
    made("setup")
    yield made
    for node in made.cloud.nodes():
        made.cloud.forget_node(node)


@pytest.fixture
def ready(standing, programs):
    """The same, without what the test before has left."""
    standing.configure()
    standing.variables.clear()
    standing.cloud.set(silent=[], faults={}, noise=0)
    for node in standing.cloud.nodes():
        home = standing.cloud.home(node)
        end_processes(home.parent.parent, 0)
        shutil.copytree(programs, home.parent / "bin", dirs_exist_ok=True)
        for path in [*home.iterdir(), home / "biobert_tpu" / "runs"]:
            if path.name == "biobert_tpu":
                continue
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        for program in (home.parent / "bin").iterdir():
            if program.name not in PROGRAMS and program.name != "curl":
                program.unlink()
    return standing
