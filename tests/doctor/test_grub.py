# SPDX-License-Identifier: GPL-2.0-only
"""What GRUB starts next, by files as ``grub-mkconfig`` writes them in Debian."""

from __future__ import annotations

from pathlib import Path

import pytest

from ubypass.doctor.grub import next_of_grub
from ubypass.doctor.loader import Unknown

_NEW, _OLD = "6.1.0-57-amd64", "6.1.0-9-amd64"
_UUID = "8c2f"
_HEADER = """\
if [ -s $prefix/grubenv ]; then
  set have_grubenv=true
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
   save_env next_entry
   set boot_once=true
else
   set default="%s"
fi

if [ x"${feature_menuentry_id}" = xy ]; then
  menuentry_id_option="--id"
else
  menuentry_id_option=""
fi

function recordfail {
  if [ -n "${have_grubenv}" ]; then if [ -z "${boot_once}" ]; then save_env a; fi; fi
}
function gfxmode {
	set gfxpayload="${1}"
}
"""
_BODY = """\
	load_video
	insmod gzio
	if [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi
	if [ x$feature_platform_search_hint = xy ]; then
		search --no-floppy --fs-uuid --set=root --hint-bios=hd0,msdos1  8c2f
	else
		search --no-floppy --fs-uuid --set=root 8c2f
	fi
	echo	'Loading Linux ...'
	linux	/boot/vmlinuz-%s root=UUID=8c2f ro  quiet
	initrd	/boot/initrd.img-%s
}
"""


def _kernel(title: str, name: str, release: str) -> str:
    begin = f"menuentry '{title}' --class debian --class os $menuentry_id_option"
    return f"{begin} '{name}' {{\n" + _BODY % (release, release)


_MENU = (
    _kernel("Debian GNU/Linux", f"gnulinux-simple-{_UUID}", _NEW)
    + "submenu 'Advanced options for Debian GNU/Linux' $menuentry_id_option "
    + f"'gnulinux-advanced-{_UUID}' {{\n"
    + "".join(
        _kernel(
            f"Debian GNU/Linux, with Linux {release}",
            f"gnulinux-{release}-advanced-{_UUID}",
            release,
        )
        for release in (_NEW, _OLD)
    )
    + "}\n"
)
_FIRMWARE = """\
if [ "$grub_platform" = "efi" ]; then
	fwsetup --is-supported
	if [ "$?" = 0 ]; then
		menuentry 'UEFI Firmware Settings' $menuentry_id_option 'uefi-firmware' {
			fwsetup
		}
	fi
fi
"""
_OTHERS = (
    "menuentry 'Windows (on /dev/sda1)' --class windows $menuentry_id_option "
    "'osprober-chain-1' {\n\tchainloader +1\n}\n"
    + _kernel("Debian (on /dev/sdb1)", "osprober-gnulinux-simple-2", _OLD)
)
#: As 41_custom writes it.
_END = """\
if [ -f  ${config_directory}/custom.cfg ]; then
  source ${config_directory}/custom.cfg
elif [ -z "${config_directory}" -a -f  $prefix/custom.cfg ]; then
  source $prefix/custom.cfg
fi
"""


def _next(
    root: Path, default: str = "0", environment: str = "", menu: str = _MENU
) -> tuple[str, str]:
    """Title and kernel."""
    place = root / "boot/grub"
    place.mkdir(parents=True, exist_ok=True)
    (place / "grub.cfg").write_text(_HEADER % default + menu + _FIRMWARE + _END)
    block = f"# GRUB Environment Block\n{environment}"
    (place / "grubenv").write_text(block.ljust(1024, "#"))
    found = next_of_grub(root)
    assert found is not None
    assert found.loader == "GRUB"
    return found.title, found.kernel


_FIRST = ("Debian GNU/Linux", f"/boot/vmlinuz-{_NEW}")
_SECOND = (f"Debian GNU/Linux, with Linux {_NEW}", f"/boot/vmlinuz-{_NEW}")
_THIRD = (f"Debian GNU/Linux, with Linux {_OLD}", f"/boot/vmlinuz-{_OLD}")
_BY_NAME = f"gnulinux-advanced-{_UUID}>gnulinux-{_OLD}-advanced-{_UUID}"


def test_there_is_no_grub(tmp_path: Path) -> None:
    assert next_of_grub(tmp_path) is None


@pytest.mark.parametrize(
    ("default", "wanted"),
    [
        ("0", _FIRST),
        ("1", _SECOND),
        ("1>0", _SECOND),
        ("1>1", _THIRD),
        (_BY_NAME, _THIRD),
        (f"1>Debian GNU/Linux, with Linux {_OLD}", _THIRD),
        ("Advanced options for Debian GNU/Linux>1", _THIRD),
        # What it does not find is the first one.
        ("Debian GNU/Linux, with Linux 5.10", _FIRST),
        ("1>7", _SECOND),
        ("17", _FIRST),
        ("", _FIRST),
    ],
)
def test_the_default(tmp_path: Path, default: str, wanted: tuple[str, str]) -> None:
    assert _next(tmp_path, default) == wanted


@pytest.mark.parametrize(
    ("default", "environment", "wanted"),
    [
        ("${saved_entry}", f"saved_entry={_BY_NAME}\n", _THIRD),
        ("${saved_entry}", "", _FIRST),
        ("${saved_entry}", "saved_entry=0\nprev_saved_entry=1>1\n", _THIRD),
        # Without GRUB_DEFAULT=saved what is saved has no effect.
        ("0", "saved_entry=1>1\n", _FIRST),
        # grub-reboot, whatever the default is.
        ("0", "next_entry=1>1\n", _THIRD),
        ("${saved_entry}", "saved_entry=1>1\nnext_entry=0\n", _FIRST),
        ("1>1", "next_entry=\n", _THIRD),
    ],
)
def test_the_environment(
    tmp_path: Path, default: str, environment: str, wanted: tuple[str, str]
) -> None:
    assert _next(tmp_path, default, environment) == wanted


def test_a_title_may_have_quotes_and_the_sign_between_steps(tmp_path: Path) -> None:
    menu = _MENU + _kernel(r"Root'\''s > all", "x", _OLD)
    wanted = ("Root's > all", f"/boot/vmlinuz-{_OLD}")
    assert _next(tmp_path, "Root's >> all", menu=menu) == wanted


def test_other_systems_start_no_kernel_of_this_one(tmp_path: Path) -> None:
    assert _next(tmp_path, "2", menu=_MENU + _OTHERS) == ("Windows (on /dev/sda1)", "")
    assert _next(tmp_path, "3", menu=_MENU + _OTHERS) == ("Debian (on /dev/sdb1)", "")


@pytest.mark.parametrize(
    ("default", "menu", "why"),
    [
        ("2", _MENU, "there under a condition"),
        ("uefi-firmware", _MENU, "there under a condition"),
        ("${mine}", _MENU, "its variable mine"),
        ("0", "", "there under a condition"),
        ("0", _MENU + "set default=1\n", "several defaults"),
        ("0", "blscfg\n" + _MENU, "parts elsewhere"),
        ("0", "configfile /other.cfg\n" + _MENU, "parts elsewhere"),
        ("0", _MENU + "}\n", "not understood"),
        ("0", _MENU + "function f {\n", "not understood"),
        ("0", _MENU + "menuentry 'a {\n}\n", "not understood"),
        ("1", _MENU[: _MENU.index("submenu")] + "submenu a {\n}\n", "is empty"),
    ],
)
def test_nothing_is_guessed(tmp_path: Path, default: str, menu: str, why: str) -> None:
    with pytest.raises(Unknown, match=why):
        _next(tmp_path, default, menu=menu)


def test_a_file_of_the_administrator_may_change_all(tmp_path: Path) -> None:
    assert _next(tmp_path) == _FIRST
    (tmp_path / "boot/grub/custom.cfg").write_text("set default=1\n")
    with pytest.raises(Unknown, match="parts elsewhere"):
        _next(tmp_path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "boot/grub/grub.cfg").mkdir(parents=True)
    with pytest.raises(Unknown, match="configuration of GRUB cannot be read"):
        next_of_grub(tmp_path)
