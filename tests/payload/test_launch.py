"""The engine launcher: what it would start, by table; how it runs and stops, with real processes."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stormc.payload import launch
from stormc.payload.launch import Pod, Refused, Way, flag_value, plan, pod_of

VLLM = ("vllm", "serve", "/m", "--port=8000")
FIRST = {"POD_IP": "10.0.0.1"}


def second(size: int = 2, index: int = 1) -> dict[str, str]:
    """The environment that AIBrix v0.5.0 gives to a further pod of a group."""
    return {
        "POD_IP": "10.0.0.2", "POD_GROUP_SIZE": str(size), "POD_GROUP_INDEX": str(index),
        "PODSET_NAME": "app-roleset-x-decode-1-0", "STORM_SERVICE_NAME": "app",
    }  # fmt: skip


def commands(flags: str, external: bool, env: dict[str, str]) -> list[str]:
    return [launch.shown(process) for process in plan((*VLLM, *flags.split()), Way(external), env)]


HEAD = "app-roleset-x-decode-1-0-0.app"
KV = '{"kv_connector":"MooncakeConnectorV1","kv_port":"36000"}'


def test_independent_engines_share_nothing_but_the_pod() -> None:
    """No rank knows of another: ports, KV ports and NPUs differ, data parallelism is not spoken of."""
    command = (*VLLM, "--tensor-parallel-size=2", f"--kv-transfer-config={KV}")
    first, second_rank = plan(command, Way(independent=2), FIRST)
    assert first.env == {"ASCEND_RT_VISIBLE_DEVICES": "0,1"}
    assert second_rank.env == {"ASCEND_RT_VISIBLE_DEVICES": "2,3"}
    assert flag_value(first.command, "port") == "8000" and flag_value(second_rank.command, "port") == "8001"
    ports = [json.loads(flag_value(p.command, "kv-transfer-config") or "")["kv_port"] for p in (first, second_rank)]
    assert ports == ["36000", "36002"]
    assert not [word for word in (*first.command, *second_rank.command) if "data-parallel" in word]


def test_kv_ports_of_inner_connectors_move_too() -> None:
    inner = f'{{"kv_connector":"MultiConnector","kv_connector_extra_config":{{"connectors":[{KV},{{"a":1}}]}}}}'
    command = (*VLLM, "--tensor-parallel-size=4", f"--kv-transfer-config={inner}")
    config = json.loads(flag_value(plan(command, Way(independent=3), FIRST)[2].command, "kv-transfer-config") or "")
    assert config["kv_connector_extra_config"]["connectors"][0]["kv_port"] == "36008"


def test_one_rank_over_all_pods() -> None:
    command = (*VLLM, "--tensor-parallel-size=8", "--pipeline-parallel-size=2")
    (head,) = plan(command, Way(multi_node=True), {**FIRST, "POD_GROUP_SIZE": "2", "POD_GROUP_INDEX": "0"})
    assert head.command[-3:] == ("--nnodes=2", "--node-rank=0", "--master-addr=10.0.0.1")
    (other,) = plan(command, Way(multi_node=True), second())
    assert other.command[-4:] == ("--headless", "--nnodes=2", "--node-rank=1", f"--master-addr={HEAD}")
    assert flag_value(other.command, "port") is None
    with pytest.raises(Refused, match="do not divide"):
        plan(command, Way(multi_node=True), second(size=3))


def test_ranks_take_the_npus_of_their_stages_and_context() -> None:
    flags = ("--tensor-parallel-size=2", "--pipeline-parallel-size=2", "--prefill-context-parallel-size=2")
    processes = plan((*VLLM, *flags, "--data-parallel-size=2"), Way(external=True), FIRST)
    assert [p.env["ASCEND_RT_VISIBLE_DEVICES"] for p in processes] == ["0,1,2,3,4,5,6,7", "8,9,10,11,12,13,14,15"]


def test_variables_of_the_image_are_extended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mooncake").mkdir()
    monkeypatch.setattr(launch, "LIBRARIES", (f"{tmp_path}/moon*", f"{tmp_path}/absent"))
    env = {"LD_LIBRARY_PATH": "/cann", "LD_PRELOAD": ""}
    changed = launch.extended(env, ["LD_LIBRARY_PATH=/mine", "LD_PRELOAD=/j.so"])
    assert changed == {"LD_LIBRARY_PATH": f"{tmp_path}/mooncake:/mine:/cann", "LD_PRELOAD": "/j.so"}
    assert launch.extended({"LD_LIBRARY_PATH": f"{tmp_path}/mooncake"}, []) == {}
    with pytest.raises(Refused):
        launch.extended({}, ["LD_PRELOAD"])


PLANS = [
    ("--tensor-parallel-size=8", False, FIRST, ["vllm serve /m --port=8000 --tensor-parallel-size=8"]),
    (
        "--tensor-parallel-size=2 --data-parallel-size=2", True, FIRST,
        [
            f"ASCEND_RT_VISIBLE_DEVICES={devices} vllm serve /m --tensor-parallel-size=2 --data-parallel-size=2"
            f" --port={port} --data-parallel-rank={rank} --data-parallel-address=10.0.0.1"
            for devices, port, rank in (("0,1", 8000, 0), ("2,3", 8001, 1))
        ],
    ),
    (
        "--data-parallel-size=4", True, second(),
        [
            f"ASCEND_RT_VISIBLE_DEVICES={device} vllm serve /m --data-parallel-size=4"
            f" --port={port} --data-parallel-rank={rank} --data-parallel-address={HEAD}"
            for device, port, rank in ((0, 8000, 2), (1, 8001, 3))
        ],
    ),
    (
        "--data-parallel-size 2", True, {**FIRST, "ASCEND_RT_VISIBLE_DEVICES": "4, 6"},
        [
            f"ASCEND_RT_VISIBLE_DEVICES={device} vllm serve /m --data-parallel-size 2"
            f" --port={port} --data-parallel-rank={rank} --data-parallel-address=10.0.0.1"
            for device, port, rank in ((4, 8000, 0), (6, 8001, 1))
        ],
    ),
    (
        "--data-parallel-size=4", False, FIRST,
        ["vllm serve /m --port=8000 --data-parallel-size=4 --api-server-count=1 --data-parallel-address=10.0.0.1"],
    ),
    (
        "--data-parallel-size=4", False, second(),
        [
            "vllm serve /m --data-parallel-size=4 --headless --data-parallel-start-rank=2"
            f" --data-parallel-address={HEAD}"
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("flags", "external", "env", "expected"), PLANS)
def test_what_a_pod_starts(flags: str, external: bool, env: dict[str, str], expected: list[str]) -> None:
    assert commands(flags, external, env) == expected


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("ranks", [4, 8])
def test_the_pods_of_a_group_cover_every_rank_once(size: int, ranks: int) -> None:
    flags = f"--data-parallel-size={ranks}"
    pods = [second(size, index) for index in range(size)]
    started = [command for env in pods for command in commands(flags, True, env)]
    found = sorted(int(launch.flag_value(command.split(), "data-parallel-rank") or -1) for command in started)
    assert found == list(range(ranks))


REFUSED = [
    ("", False, {**FIRST, "POD_GROUP_SIZE": "two"}, "POD_GROUP_SIZE is 'two', not a number"),
    ("", False, {**FIRST, "POD_GROUP_INDEX": "1"}, "POD_GROUP_INDEX 1 is outside a group of 1 pods"),
    ("", False, {"POD_GROUP_SIZE": "2", "POD_GROUP_INDEX": "1"}, "PODSET_NAME and STORM_SERVICE_NAME must name"),
    ("--data-parallel-size=3", True, second(), "--data-parallel-size 3 is not a multiple of the 2 pods"),
    ("--data-parallel-size=0", True, FIRST, "--data-parallel-size is '0'; a number above 0 is needed"),
    ("--data-parallel-size=2", True, {}, "POD_IP is empty"),
    ("--data-parallel-size=2", False, {}, "POD_IP is empty"),
    ("--port=65535 --data-parallel-size=2", True, FIRST, "port 65535 leaves no room for 2 ranks"),
    (
        "--data-parallel-size=2 --tensor-parallel-size=2", True, {**FIRST, "ASCEND_RT_VISIBLE_DEVICES": "0,1,2"},
        "2 ranks of 2 NPUs need more than the 3",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("flags", "external", "env", "message"), REFUSED)
def test_what_contradicts_itself_is_refused(flags: str, external: bool, env: dict[str, str], message: str) -> None:
    with pytest.raises(Refused, match=message.replace("(", r"\(")):
        commands(flags, external, env)


def test_a_command_needs_a_port_and_words() -> None:
    with pytest.raises(Refused, match="--port is missing"):
        plan(("vllm", "serve", "/m"), Way(), FIRST)
    with pytest.raises(Refused, match="no command"):
        plan((), Way(), FIRST)


def test_the_first_pod_is_known_by_its_address_and_the_others_by_its_name() -> None:
    assert pod_of(FIRST) == Pod(1, 0, "10.0.0.1")
    assert pod_of(second(index=0)) == Pod(2, 0, "10.0.0.2")
    assert pod_of(second()) == Pod(2, 1, HEAD)


# What follows runs the file as a pod does: a script of its own, with a bare interpreter.


class Launcher:
    """A running launcher; `lines` are what it and its processes print, in order."""

    def __init__(self, script: str, *options: str, **env: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", launch.__file__, *options, "--", sys.executable, "-c", script, "--port=8000",
             *(["--data-parallel-size=2"] if "--external-dp" in options else [])],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **FIRST, **env},
        )  # fmt: skip
        assert self.process.stdout
        self.output = self.process.stdout

    def wait_for(self, *words: str) -> list[str]:
        """The lines up to the one that completes the words, in any order; a word begins a line of a rank's own."""
        missing, lines = set(words), []
        for line in self.output:
            lines.append(line.rstrip())
            missing -= {word for word in missing if line.startswith(word)}
            if not missing:
                return lines
        raise AssertionError(f"{missing} not in {lines}")

    def ranks(self) -> list[int]:
        """The processes that it started and that still run."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        return [int(child) for child in children.read_text().split()] if self.process.poll() is None else []

    def end(self) -> tuple[int, str]:
        """The exit code and the rest of the output."""
        rest, _ = self.process.communicate(timeout=300)
        return self.process.returncode, rest


@pytest.fixture
def launchers() -> Iterator[list[Launcher]]:
    started: list[Launcher] = []
    yield started
    for launcher in started:
        for child in launcher.ranks():  # they hold the pipe open, and nothing else would end them
            os.killpg(child, signal.SIGKILL)
        launcher.process.kill()
        launcher.process.communicate()


# The script of a rank is made of these lines. Between a look at the flag of a signal and signal.pause() a signal would
# be missed, so that a rank sleeps for short times instead. A line of output is one write: without a buffer, print()
# would write its pieces between those of the other rank.
RANK = """\
import sys, signal, os, time
rank = int([a for a in sys.argv if 'parallel-rank' in a][0].split('=')[1])
def sleep():
    while True: time.sleep(0.05)
"""
UP_AND_SLEEP = """\
os.write(1, f'up-{rank} {os.environ["ASCEND_RT_VISIBLE_DEVICES"]}\\n'.encode())
sleep()
"""


@pytest.mark.parametrize(("end", "expected"), [("0", 0), ("3 * rank", 3)], ids=["well", "with a fault"])
def test_a_signal_reaches_every_process_and_the_pod_ends_as_they_do(
    launchers: list[Launcher], end: str, expected: int
) -> None:
    stop = f"signal.signal(signal.SIGTERM, lambda *_: (print(f'down-{{rank}}', flush=True), sys.exit({end})))\n"
    launchers.append(launcher := Launcher(RANK + stop + UP_AND_SLEEP, "--external-dp"))
    assert {"up-0 0", "up-1 1"} <= set(launcher.wait_for("up-0", "up-1"))
    launcher.process.send_signal(signal.SIGTERM)
    code, rest = launcher.end()
    assert code == expected
    assert "down-0" in rest and "down-1" in rest


def test_a_signal_ends_the_wait_for_the_first_pod() -> None:
    env = {**os.environ, **second(), "PODSET_NAME": "no.such.host.invalid"}
    script = (
        "import runpy, socket, sys; ask = socket.getaddrinfo; "
        "socket.getaddrinfo = lambda *name: (print('asked', flush=True), ask(*name))[1]; "
        "sys.argv = ['launch.py', '--', 'true', '--port=1', '--data-parallel-size=2']; "
        f"runpy.run_path({launch.__file__!r}, run_name='__main__')"
    )
    with subprocess.Popen([sys.executable, "-c", script], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:  # fmt: skip
        assert process.stdout and process.stdout.readline() == "asked\n"
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=300)[1] == ""
    assert process.returncode == 128 + signal.SIGTERM


def test_a_signal_after_a_fault_does_not_hide_it(launchers: list[Launcher], tmp_path: Path) -> None:
    os.mkfifo(started := tmp_path / "started")
    last = f"""\
def stop(*_):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    print('stopping', flush=True)
    sleep()
signal.signal(signal.SIGTERM, stop)
rank == 1 and (open({str(started)!r}).read(), sys.exit(7))
open({str(started)!r}, 'w').close()
"""
    launchers.append(launcher := Launcher(RANK + last + UP_AND_SLEEP, "--external-dp"))
    launcher.wait_for("stopping")
    launcher.process.send_signal(signal.SIGTERM)
    assert launcher.end()[0] == 7


@pytest.mark.parametrize(
    ("death", "expected"), [("sys.exit(7)", 7), ("sys.exit(0)", 1), ("os.kill(os.getpid(), 9)", 137)]
)
def test_the_first_process_that_ends_ends_the_pod_with_its_code(
    launchers: list[Launcher], death: str, expected: int
) -> None:
    die = f"rank == 1 and {death}\n"
    launchers.append(launcher := Launcher(RANK + die + UP_AND_SLEEP, "--external-dp"))
    code, rest = launcher.end()
    assert code == expected
    assert "rank 0 ended with 143" in rest


def test_a_process_that_does_not_stop_is_killed(
    launchers: list[Launcher], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    impatient = tmp_path / "launch.py"
    impatient.write_text(Path(launch.__file__).read_text().replace("STOP_SECONDS = 20.0", "STOP_SECONDS = 0.2"))
    monkeypatch.setattr(launch, "__file__", str(impatient))
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    stubborn = f"""\
signal.signal(signal.SIGTERM, signal.SIG_IGN)
rank == 1 and (open({str(ready)!r}).read(), sys.exit(5))
open({str(ready)!r}, 'w').close()
"""
    launchers.append(launcher := Launcher(RANK + stubborn + UP_AND_SLEEP, "--external-dp"))
    code, rest = launcher.end()
    assert code == 5
    assert "rank 0 ended with 137" in rest


def test_many_signals_at_any_moment_end_the_pod_once_and_without_a_traceback(
    launchers: list[Launcher], tmp_path: Path
) -> None:
    """Signals that come while a line is printed, while ranks are started, and before the launcher waits for one."""
    for turn in range(8):
        stop = "signal.signal(signal.SIGTERM, lambda *_: os._exit(0))\nsleep()\n"
        launchers.append(launcher := Launcher(RANK + stop, "--external-dp"))
        launcher.wait_for("launch: ")
        for _ in range(20 * turn + 1):
            launcher.process.send_signal(signal.SIGTERM)
        code, rest = launcher.end()
        assert code in (0, 128 + signal.SIGTERM) and "Traceback" not in rest, (code, rest)
        assert rest.count("launch: rank") == rest.count("ended with") <= 2


def test_a_signal_that_came_before_the_wait_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The moment before the launcher blocks: a handler would run only when the process has ended by itself."""
    program = f"""
import os, runpy, select, signal, sys
waits, ask = [], select.select
def at_last(*given):
    waits.append(given)
    if given[3] is None:
        os.kill(os.getpid(), signal.SIGTERM)
    return ask(*given)
select.select = at_last
sys.argv = ["launch.py", "--", "sh", "-c", "sleep 1000", "--port=8000"]
runpy.run_path({launch.__file__!r}, run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", program], env={**os.environ, **FIRST}, capture_output=True, text=True,
                          timeout=600, check=False)  # fmt: skip
    assert done.returncode == 128 + signal.SIGTERM and "SIGTERM: stopping 1 processes" in done.stderr


def test_the_workers_of_a_dead_rank_die_with_it(launchers: list[Launcher]) -> None:
    launchers.append(launcher := Launcher("import os, sys, signal; os.fork() and sys.exit(4); signal.pause()"))
    # The worker holds the pipe open: the end of the output is the proof that it is gone.
    assert launcher.end()[0] == 4


def test_print_shows_and_starts_nothing() -> None:
    result = subprocess.run(
        [sys.executable, launch.__file__, "--external-dp", "--print", "--", *VLLM, "--data-parallel-size=2"],
        env={**os.environ, **FIRST}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert result.stdout.splitlines() == commands("--data-parallel-size=2", True, FIRST)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["--", "no-such-program", "--port=1"], "no-such-program: No such file or directory"),
        (["--", "true"], "--port is missing"),
        ([], "no command after --"),
        (["--head-timeout=0.1", "--", "true", "--port=1", "--data-parallel-size=2"], "did not resolve within 0 s"),
    ],
)
def test_bad_input_is_one_line_and_code_2(command: list[str], message: str) -> None:
    env = {**os.environ, **(second() if "--head-timeout=0.1" in command else FIRST)}
    env["PODSET_NAME"] = "no.such.host.invalid"
    result = subprocess.run([sys.executable, launch.__file__, *command], env=env, capture_output=True, text=True)
    assert result.returncode == 2
    assert message in result.stderr.splitlines()[-1]


def test_the_launcher_is_python_310_and_the_standard_library() -> None:
    tree = ast.parse(Path(launch.__file__).read_text(encoding="utf-8"), feature_version=(3, 10))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names
