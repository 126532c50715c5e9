"""Where files are: the known LIBSVM sets, each with its SHA-256, in a folder, in the cache, or downloaded into it."""

from __future__ import annotations

import difflib
import hashlib
import os
from pathlib import Path

VARIABLE = "NEWTONFL_DATA"
BASE = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/"
KNOWN = {  # name: (address below BASE, SHA-256)
    "a1a": ("binary/a1a", "eb54c45f1bdb51286f803dd092eb8202b44637a858fc6c4e533a2d64a0d94b4e"),
    "a9a": ("binary/a9a", "f5d5ffd8d865ff41328e7ee043e4b020816914ff6843ff15b98905ddbedce906"),
    "w2a": ("binary/w2a", "940eb7cf0c94208f533cadd825631aedd02bb8a43fa7628690f1a923fe49944e"),
    "w8a": ("binary/w8a", "6a9fa8fd5f524303240a5db07d4b3d4a51e8b7b4b20a914105d8e3e8c81640f2"),
    "phishing": ("binary/phishing", "0cf66ef36604c393da9359b2e5d894a2df8aee31fd184633cefa138add2ef08a"),
    "mushrooms": ("binary/mushrooms", "f39a4eb628dc61a7d43760815b061c9e497aa728ce1ad8bde57a09ef6043b538"),
    "madelon": ("binary/madelon", "4801c452441772b47674fa8deb3724b1cb897eff49ccd8d47078367080c05b54"),
    "abalone_scale": ("regression/abalone_scale", "c7e719473d68cac81798b16c14bcdc632abf485b404882ff9e713c5d46c7750d"),
    "housing_scale": ("regression/housing_scale", "bbacd2f526a038499717d5dc4b8895e6baf1e2351895b9360a84bcb31e104476"),
    "bodyfat_scale": ("regression/bodyfat_scale", "0407ae0c51cde1680850bf912ab701cd68826059738f3637d5d97ece49799912"),
    "dna.scale": ("multiclass/dna.scale", "03d39477c5e48415e9cd18e006efc8f7a3b5c3deaee8289a72511c35070e3cfe"),
    "segment.scale": ("multiclass/segment.scale", "7c25c4529b8c84d047bc546e1e1f9a3f671c36d77f5469fb845b6e4a15bdd629"),
}


def locate(
    name: str, *, folder: Path | None = None, base: str = BASE, cache: Path | None = None, download: bool = True
) -> Path:
    """The file of a LIBSVM set that is given by its bare name.

    Looked for in `folder`, in the folder that the environment variable NEWTONFL_DATA names, in the cache; a known
    set is then downloaded into the cache. Wherever it is, a known set must be whole: its SHA-256 is checked.

    Parameters
    ----------
    name : str
    folder : Path, optional
    base : str
        Address of the LIBSVM data sets.
    cache : Path, optional
        Where downloads are kept; the user's cache folder by default.
    download : bool
        Whether to fetch what is not there.

    Raises
    ------
    FileNotFoundError
        If it is nowhere and cannot be had; the message states where to put it by hand.
    ValueError
        If a known set's file, found or downloaded, is not that set.
    """
    named = os.environ.get(VARIABLE)
    places = ([folder] if folder is not None else []) + ([Path(named).expanduser()] if named else [])
    known = KNOWN.get(name)
    for place in places:
        path = place / name
        if path.is_file():
            return _verified(path, known[1]) if known else path
    searched = ", ".join(str(place.resolve()) for place in places) or "no folder"
    hint = f"{VARIABLE} is set to {named}" if named else f"{VARIABLE} is not set"
    if known is None:
        near = difflib.get_close_matches(name, KNOWN, 1)
        raise FileNotFoundError(
            f"libsvm:{name}: no file {name!r}; searched: {searched} ({hint}; it may name a folder of data sets). "
            f"It is none of the sets that can be downloaded either: {', '.join(KNOWN)}"
            + (f". Did you mean {near[0]}?" if near else "")
        )
    import pooch

    cache = Path(pooch.os_cache("newtonfl")) if cache is None else cache
    if not download and not (cache / name).is_file():
        raise FileNotFoundError(f"libsvm:{name} ({hint}); a solve downloads it to {cache}")
    address, sha256 = base.rstrip("/") + "/" + known[0], known[1]
    try:
        return Path(pooch.retrieve(address, known_hash=f"sha256:{sha256}", fname=name, path=cache))
    except OSError as error:  # requests' errors, too, are OSErrors
        raise FileNotFoundError(
            f"libsvm:{name}: no file {name!r}; searched: {searched} ({hint}), {cache}; and {address} cannot be fetched "
            f"({type(error).__name__}: {error}). By hand: fetch that address on another machine, save it as {name} "
            f"in a folder, and set {VARIABLE} to that folder"
        ) from None
    except ValueError:  # pooch has removed the file whose hash is not the known one
        raise ValueError(
            f"libsvm:{name}: what {address} sent is not the known data set (its SHA-256 is not {sha256}); "
            "it was not kept"
        ) from None


def _verified(path: Path, sha256: str) -> Path:
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        raise ValueError(
            f"{path}: this is not the known data set {path.name}, or not all of it: SHA-256 must be {sha256}, "
            f"found {found}. Put the whole file in its place, or write libsvm:./{path.name} for a file of your own "
            "that lies beside the problem file"
        )
    return path


def existing(name: str, folder: Path) -> Path:
    """The file at a path, relative to `folder`, or a FileNotFoundError that names what is there."""
    path = folder / Path(name).expanduser()
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "no such file"
        raise FileNotFoundError(
            f"{path.resolve()}: {what} (paths are relative to the problem file's folder; "
            f"{VARIABLE} is searched for bare names of LIBSVM sets only)"
        )
    return path


def libsvm_path(name: str, folder: Path, download: bool = True) -> Path:
    """The file of a LIBSVM source: a bare name is searched for (:func:`locate`), any other is a path."""
    bare = Path(name).name == name and not name.startswith("~")
    return locate(name, folder=folder, download=download) if bare else existing(name, folder)
