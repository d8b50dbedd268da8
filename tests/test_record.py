"""The record is written whole or not at all."""

import dataclasses
import json

import pytest

import identities
from identities.engine import record


@pytest.fixture(scope="module")
def measured():
    claim = identities.claim("tr_axb_dX")
    return claim, identities.check(claim, shapes=1, samples=1)


def test_rows_of_other_devices_are_kept_and_gone_claims_dropped(tmp_path, measured):
    claim, verdict = measured
    path = tmp_path / "record.json"
    record.update(path, {claim.name: claim}, [dataclasses.replace(verdict, device="gpu (NVIDIA)")])
    record.update(path, {claim.name: claim}, [verdict])
    rows = json.loads(path.read_text())["claims"][claim.name]
    assert [r["device"] for r in rows] == ["cpu", "gpu (NVIDIA)"]
    record.update(path, {}, [])
    assert json.loads(path.read_text())["claims"] == {}


def test_a_failure_writes_nothing(tmp_path, measured):
    claim, verdict = measured
    path = tmp_path / "record.json"
    with pytest.raises(ValueError, match=r"nothing was recorded.*tr_axb_dX"):
        record.update(path, {claim.name: claim}, [dataclasses.replace(verdict, ok=False)])
    assert list(tmp_path.iterdir()) == []


def test_a_broken_record_is_one_sentence(tmp_path):
    path = tmp_path / "record.json"
    path.write_text("{")
    with pytest.raises(ValueError, match="make record"):
        record.read(path)
