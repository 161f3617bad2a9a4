# SPDX-License-Identifier: GPL-2.0-only
"""The manifests for Kubernetes, and whether what they say of the daemon is true."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.judges import KUBERNETES
from tests.deploy.test_pods import pods
from tests.deploy.usage import documents, parse, table
from tests.places import ROOT
from ubypass.cli.service import run, status
from ubypass.engine.control import CONTROL_DIRECTORY
from ubypass.service.config import load
from ubypass.version import VERSION

_PLACE = ROOT / "deploy" / "kubernetes"
_README = (_PLACE / "README.md").read_text("utf-8")
_FILES = sorted(_PLACE.glob("*.yaml"))
_DOCKERFILES = sorted(_PLACE.rglob("Dockerfile"))
_OURS = re.compile(r"registry\.example/ubypass(?:-module)?:([^\s\"$}]+)")


def _one(name: str) -> Any:
    (found,) = documents(_PLACE / name)
    return found


_KUSTOMIZATION = _one("kustomization.yaml")
_MODULE = _one("module.yaml")
_SET = _one("daemonset.yaml")
_POD = _SET["spec"]["template"]["spec"]
_CONTAINERS = {each["name"]: each for each in _POD["containers"]}
_HELPERS = [_POD["initContainers"][0], _CONTAINERS["rules"]]
_DAEMON = _CONTAINERS["ubypass"]
_GENERATED = {each["name"]: each for each in _KUSTOMIZATION["configMapGenerator"]}


def test_all_of_them_are_applied() -> None:
    names = {path.name for path in _FILES} - {"kustomization.yaml"}
    assert names == set(_KUSTOMIZATION["resources"])
    for path in _FILES:
        for each in documents(path):
            assert {"apiVersion", "kind"} <= set(each)
            if each["kind"] not in ("Kustomization", "Namespace") and (
                not each["kind"].startswith("Cluster")
            ):
                assert each["metadata"]["namespace"] == "ubypass"


def test_files_of_config_maps_are_there() -> None:
    for each in _GENERATED.values():
        assert each["namespace"] == "ubypass"
        for file in each["files"]:
            assert (_PLACE / file.rpartition("=")[2]).is_file()
    (volume,) = (v for v in _POD["volumes"] if v["name"] == "config")
    assert volume["configMap"]["name"] in _GENERATED
    # Names with digests would be unknown to KMM, and have the daemon started anew.
    assert _KUSTOMIZATION["generatorOptions"]["disableNameSuffixHash"] is True


def _images(found: Any) -> list[str]:
    if isinstance(found, dict):
        own = [v for k, v in found.items() if k in ("image", "containerImage")]
        return own + [name for value in found.values() for name in _images(value)]
    if isinstance(found, list):
        return [name for value in found for name in _images(value)]
    return []


def test_images_have_versions() -> None:
    images = [
        name for path in _FILES for each in documents(path) for name in _images(each)
    ]
    for path in _DOCKERFILES:
        text = path.read_text()
        images += re.findall(r"^FROM (?!\$)(\S+)", text, re.MULTILINE)
        images += re.findall(r"^ARG (?:SOURCE|SUITE)=(\S+)", text, re.MULTILINE)
    assert len(images) > 6
    for name in images:
        _, colon, tag = name.rpartition(":")
        assert colon, name
        assert "/" not in tag, name
        assert not tag.startswith("latest"), name


def test_our_images_are_those_of_this_version() -> None:
    texts = [path.read_text("utf-8") for path in (*_FILES, *_DOCKERFILES)]
    tags = [tag for text in [*texts, _README] for tag in _OURS.findall(text)]
    assert len(tags) > 6
    assert {tag.split("-")[0] for tag in tags} == {VERSION}
    assert {each["newTag"] for each in _KUSTOMIZATION["images"]} == {VERSION}
    assert f"REGISTRY/ubypass:{VERSION}" in _README


def test_what_they_were_checked_with_is_said() -> None:
    assert f"the schemas of Kubernetes {' and '.join(KUBERNETES)}" in _README


# ---- privileges ---------------------------------------------------------------------


def _unit() -> dict[str, str]:
    lines = (ROOT / "debian" / "ubypass.service").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line[:1].isalpha())


def test_privileges_are_those_of_the_table_with_a_reason_each() -> None:
    security = _DAEMON["securityContext"]
    found = {"hostPID": _POD["hostPID"], "runAsUser: 0": security["runAsUser"] == 0}
    found |= dict.fromkeys(security["capabilities"]["add"], True)
    found |= dict.fromkeys(
        (k for k in _DAEMON["resources"]["limits"] if "/" in k), True
    )
    assert all(found.values())
    rows = table(_README, "privilege")
    assert set(rows) == set(found)
    assert all(len(reason) > 20 for reason in rows.values())


def test_capabilities_are_those_of_the_unit() -> None:
    words = _unit()["CapabilityBoundingSet"].split()
    assert [
        f"CAP_{name}" for name in _DAEMON["securityContext"]["capabilities"]["add"]
    ] == words


def test_the_kernel_asks_for_what_is_said() -> None:
    """The user namespace is the initial one where the kernel asks ``capable``."""
    text = (ROOT / "kernel" / "device.c").read_text()
    assert "if (!capable(CAP_SYS_MODULE))" in text
    assert "ns_capable" not in text
    assert "client->ns = get_pid_ns(task_active_pid_ns(current));" in text
    assert re.search(r"\.mode\s*= 0600", text)
    assert _POD.get("hostUsers", True) is True


def test_there_are_no_other_privileges() -> None:
    assert _POD["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostIPC", "shareProcessNamespace"} & set(_POD)
    assert _POD["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    assert all("hostPath" not in volume for volume in _POD["volumes"])
    for each in (*_HELPERS, _DAEMON):
        security = each["securityContext"]
        assert "privileged" not in security
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"]["drop"] == ["ALL"]
        assert "memory" in each["resources"]["limits"]
    mounts = {mount["name"] for mount in _DAEMON["volumeMounts"]}
    assert "token" not in mounts


def test_who_asks_for_labels_has_no_privileges() -> None:
    for each in _HELPERS:
        security = each["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] > 0
        assert "add" not in security["capabilities"]
    account, role, binding = documents(_PLACE / "rbac.yaml")
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}
    ]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"][0]["name"] == account["metadata"]["name"]
    assert _POD["serviceAccountName"] == account["metadata"]["name"]


# ---- the daemon ---------------------------------------------------------------------


def test_ub_understands_what_it_is_told() -> None:
    args = parse(_DAEMON["args"])
    assert (args.run, args.json, args.follow) == (run.run, True, True)
    probe = _DAEMON["startupProbe"]["exec"]["command"]
    assert probe[0] == "/usr/bin/ub"
    assert parse(probe[1:]).run == status.run


def _mounts(container: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {mount["mountPath"]: mount for mount in container["volumeMounts"]}


def test_it_may_write_where_it_has_to() -> None:
    mounts = _mounts(_DAEMON)
    assert str(CONTROL_DIRECTORY.parent) in mounts
    (cache,) = _DAEMON["env"]
    assert cache["name"] == "UBYPASS_CACHE"
    assert (
        f"Environment=UBYPASS_CACHE={cache['value']}"
        in (ROOT / "debian" / "ubypass.service").read_text()
    )
    assert not mounts[cache["value"]].get("readOnly")
    names = {volume["name"] for volume in _POD["volumes"]}
    for each in (*_HELPERS, _DAEMON):
        assert {mount["name"] for mount in each["volumeMounts"]} <= names


def test_it_reads_what_the_other_container_writes() -> None:
    config = parse(_DAEMON["args"]).config
    mounts = _mounts(_DAEMON)
    assert mounts[str(config.parent)]["readOnly"] is True
    for each in _HELPERS:
        options = dict(word.split("=") for word in each["args"] if "=" in word)
        assert options["--output"] == str(config)
        assert (
            _mounts(each)[str(config.parent)]["name"]
            == (mounts[str(config.parent)]["name"])
        )
        config_map = _GENERATED["ubypass"]["files"]
        directory = next(p for p, m in _mounts(each).items() if m["name"] == "config")
        for option in "--base", "--pods":
            path = Path(options[option])
            assert str(path.parent) == directory
            assert f"config/{path.name}" in config_map
        assert str(pods._CREDENTIALS) in _mounts(each)
        assert each["env"][0]["name"] == "NODE_NAME"
    assert "--once" in _HELPERS[0]["args"]
    assert "--once" not in _HELPERS[1]["args"]


def test_the_program_is_where_the_image_has_it() -> None:
    text = (_PLACE / "image" / "Dockerfile").read_text()
    (place,) = re.findall(r"^COPY --chmod=755 pods.py (\S+)$", text, re.MULTILINE)
    assert all(each["command"] == [place] for each in _HELPERS)
    assert 'ENTRYPOINT ["/usr/bin/ub"]' in text


def test_the_configuration_is_right(tmp_path: Path) -> None:
    base = _PLACE / "config" / "config.toml"
    config = load(base)
    assert config.warnings == ()
    limit = _DAEMON["resources"]["limits"]["memory"]
    assert limit == "1Gi"
    assert config.limits.memory_mib < 1024
    wanted = pods.read_wanted(_PLACE / "config" / "pods.toml")
    pod = {"metadata": {"uid": "u", "labels": {"ubypass.example/boost": "true"}}}
    made = tmp_path / "config.toml"
    made.write_text(pods.compose(base.read_text("utf-8"), wanted, [pod]), "utf-8")
    (rule,) = load(made).rules
    assert rule.container == ("u",)


def test_the_examples_in_it_are_right_as_well(tmp_path: Path) -> None:
    """Each is there to be copied."""
    file = tmp_path / "pods.toml"
    text = (_PLACE / "config" / "pods.toml").read_text("utf-8")
    file.write_text(re.sub(r"^# (?=\[\[|\w+ = )", "", text, flags=re.MULTILINE))
    names = [each.name for each in pods.read_wanted(file)]
    assert names == ["boosted", "redis"]
    text = (_PLACE / "config" / "config.toml").read_text("utf-8")
    file.write_text(re.sub(r"^# (?=\[\[|\w+ = )", "", text, flags=re.MULTILINE))
    config = load(file)
    assert [rule.name for rule in config.rules] == ["no-debuggers"]
    assert config.metrics.listen == ("0.0.0.0", 9464)


# ---- the module ---------------------------------------------------------------------


def _mappings() -> list[dict[str, Any]]:
    mappings: list[dict[str, Any]]
    mappings = _MODULE["spec"]["moduleLoader"]["container"]["kernelMappings"]
    return mappings


def test_the_daemon_waits_for_the_module() -> None:
    meta = _MODULE["metadata"]
    label = f"kmm.node.kubernetes.io/{meta['namespace']}.{meta['name']}.ready"
    assert _POD["nodeSelector"] == {label: ""}


def test_the_plugin_gives_the_device_that_the_daemon_asks_for() -> None:
    plugin = _MODULE["spec"]["devicePlugin"]
    args = plugin["container"]["args"]
    options = dict(zip(args[::2], args[1::2], strict=True))
    device = json.loads(options["--device"])
    assert device["groups"] == [{"paths": [{"path": "/dev/ub", "permissions": "rw"}]}]
    assert _unit()["DeviceAllow"] == "/dev/ub rw"
    name = f"{options['--domain']}/{device['name']}"
    for kind in "requests", "limits":
        assert _DAEMON["resources"][kind][name] == "1"
    assert {mount["name"] for mount in plugin["container"]["volumeMounts"]} == {
        volume["name"] for volume in plugin["volumes"]
    }


@pytest.mark.parametrize(
    ("release", "suite"),
    [
        ("6.1.0-37-amd64", "debian:12"),
        ("6.1.0-37-cloud-amd64", "debian:12"),
        ("6.12.48+deb13-amd64", "debian:13"),
        ("6.12.48+deb13.1-cloud-amd64", "debian:13"),
        ("5.10.0-30-amd64", None),
        ("6.1.0-37-rt-amd64", None),
        ("6.12.48+deb13-arm64", None),
    ],
)
def test_each_kernel_is_built_with_its_suite(release: str, suite: str | None) -> None:
    met = [each for each in _mappings() if re.search(each["regexp"], release)]
    if suite is None:
        assert met == []
        return
    (mapping,) = met
    args = {each["name"]: each["value"] for each in mapping["build"]["buildArgs"]}
    assert args["SUITE"].startswith(suite)
    assert "${KERNEL_FULL_VERSION}" in mapping["containerImage"]
    assert mapping["build"]["dockerfileConfigMap"]["name"] in _GENERATED


def test_its_fields_are_those_of_the_custom_resource() -> None:
    """Of kmm.sigs.x-k8s.io_modules.yaml in Kernel Module Management's config/crd."""
    spec = _MODULE["spec"]
    assert (_MODULE["apiVersion"], _MODULE["kind"]) == (
        "kmm.sigs.x-k8s.io/v1beta1",
        "Module",
    )
    assert set(spec) == {"selector", "moduleLoader", "devicePlugin"}
    assert all(isinstance(value, str) for value in spec["selector"].values())
    assert set(spec["devicePlugin"]) == {"container", "volumes"}
    assert set(spec["devicePlugin"]["container"]) <= {
        *("args", "command", "env", "image", "imagePullPolicy", "resources"),
        "volumeMounts",
    }
    loader = spec["moduleLoader"]
    assert set(loader) == {"container"}
    assert set(loader["container"]) == {"modprobe", "kernelMappings"}
    assert loader["container"]["modprobe"] == {"moduleName": "ub"}
    for each in _mappings():
        assert set(each) == {"regexp", "containerImage", "build"}
        assert set(each["build"]) == {"buildArgs", "dockerfileConfigMap"}
    # Kubernetes' limit for names of labels leaves no more (KMM, ordered upgrade).
    meta = _MODULE["metadata"]
    assert len(meta["name"]) + len(meta["namespace"]) <= 39


def test_signing_is_explained_as_it_would_be_written() -> None:
    text = (_PLACE / "module.yaml").read_text()
    for word in re.findall(r"#\s+name: (\S+)", text):
        assert f"secret generic {word} " in _README
    assert len(re.findall(r"^ +# sign:$", text, re.MULTILINE)) == 1


def test_the_module_is_built_as_dkms_does() -> None:
    text = (_PLACE / "module" / "Dockerfile").read_text().replace("\\\n", " ")
    dkms = (ROOT / "debian" / "ubypass-dkms.dkms").read_text()
    (made,) = re.findall(r"make -C \S+ M=\S+\s+(.*?)\s+&&", text)
    (ours,) = re.findall(r'^MAKE\[0\]="make -C \S+ M=\S+ (.*)"$', dkms, re.MULTILINE)
    assert made.split() == ours.split()
    assert "/usr/src/ubypass-" in text
    rules = (ROOT / "debian" / "rules").read_text()
    assert "debian/ubypass-dkms/usr/src/ubypass-" in rules
    # What KMM gives to the build, and where its worker looks for the result.
    assert "ARG KERNEL_FULL_VERSION" in text
    assert "/opt/lib/modules/${KERNEL_FULL_VERSION}/ub.ko" in text
