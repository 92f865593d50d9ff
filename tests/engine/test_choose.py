"""Which back end takes a stream, and the reason that is told."""

from types import SimpleNamespace

import jax
import pytest

from jgmm import cli
from jgmm.contract import Choice
from jgmm.engine import choose


def device(platform="gpu", version="PJRT C API cuda 13000", kind="NVIDIA H100"):
    return SimpleNamespace(platform=platform, device_kind=kind, client=SimpleNamespace(platform_version=version))


CPU, CARD = device("cpu", "cpu", "cpu"), device()
AMD, TPU = device(version="rocm 6.0", kind="MI300"), device("tpu", "tpu", "TPU v5")
EVERYTHING = {"cpu", "gpu", "scan", "llvmlite"}


@pytest.fixture
def machine(monkeypatch):
    def have(first, modules=EVERYTHING):
        monkeypatch.setattr(choose.jax, "devices", lambda: [first])
        monkeypatch.setattr(choose, "OPEN", modules)
        monkeypatch.setattr(choose, "load", lambda name: SimpleNamespace(available=lambda device: None))
        monkeypatch.setattr(choose.importlib.util, "find_spec", lambda name: name in modules or None)

    return have


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (CPU, Choice("cpu", "the device is a CPU")),
        (CARD, Choice("gpu", "the device is an NVIDIA GPU")),
        (AMD, Choice("scan", "the device is MI300, no CPU and no NVIDIA GPU")),
        (TPU, Choice("scan", "the device is TPU v5, no CPU and no NVIDIA GPU")),
    ],
)
def test_the_back_end_is_chosen_by_the_device(machine, first, expected):
    machine(first)
    assert choose.choose("auto") == expected
    assert choose.choose("scan") == Choice("scan", "asked for")
    assert choose.choose("cpu") == Choice("cpu", "asked for")


@pytest.mark.parametrize(
    ("lacks", "reason"),
    [("llvmlite", "llvmlite is not installed"), ("cpu", "this version has no back end 'cpu'")],
)
def test_what_is_not_there_is_told(machine, lacks, reason):
    machine(CPU, EVERYTHING - {lacks})
    assert choose.choose("auto") == Choice("scan", reason)
    assert choose.choose("scan") == Choice("scan", "asked for")
    with pytest.raises(ValueError, match=f"back_end is 'cpu', but {reason}: expected auto or scan"):
        choose.choose("cpu")


@pytest.mark.parametrize(
    ("first", "reason"),
    [(CPU, "the device is a CPU"), (TPU, "the device is TPU v5, no"), (AMD, "the device is MI300, no")],
)
def test_a_card_that_is_not_there_is_refused(machine, first, reason):
    machine(first)
    with pytest.raises(ValueError, match=f"back_end is 'gpu', but {reason}.*: expected auto or scan"):
        choose.choose("gpu")


def test_a_card_that_cannot_is_told(machine, monkeypatch):
    machine(CARD)
    monkeypatch.setattr(
        choose, "load", lambda name: SimpleNamespace(available=lambda device: f"{device.device_kind} is old")
    )
    assert choose.choose("auto") == Choice("scan", "NVIDIA H100 is old")
    with pytest.raises(ValueError, match="back_end is 'gpu', but NVIDIA H100 is old: expected auto or scan"):
        choose.choose("gpu")


@pytest.mark.parametrize("name", ["quick", "", "fused"])
def test_another_name_is_refused(name):
    with pytest.raises(ValueError, match=r"back_end is .*, expected one of 'auto', 'cpu', 'gpu', 'scan'"):
        choose.choose(name)


def test_the_command_refuses_a_back_end_before_it_writes(tmp_path, capsys):
    assert jax.devices()[0].platform == "cpu"
    folder = tmp_path / "study"
    assert cli.main(["run", "theorem7", "--runs", "4", "--out", str(folder), "--back-end", "gpu", "--no-cache"]) == 2
    assert "back_end is 'gpu', but the device is a CPU" in capsys.readouterr().err
    assert not folder.exists()


def test_what_is_said_to_be_open_is():
    for name in choose.OPEN:
        assert callable(choose.load(name).open)
        assert callable(choose.load(name).draw)
