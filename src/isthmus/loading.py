"""`load`: a model, or an application with its model, from the folder that it was saved to."""

from pathlib import Path

from .saving import load_model, read_config


def load(path, *, parts=None, only=None, device=None):
    """What the folder `path` holds, as it was saved: an Autoencoder, or an application that holds one.

    Parameters
    ----------
    path : folder that `save` wrote
    parts : dict, default None
        What the model holds of your own: classes of parts, modules, functions. By name, or by the parameter they were given
        as ("encoder", "decoder") where two have one name. It is asked for, never imported.
    only : None, "encoder" or "decoder", default None
        Leave the other half of a model out of memory; verbs that need it then say so. A module of your own that it held is not
        asked for.
    device : str, default None; where to, instead of the device the model was made for

    Returns
    -------
    Autoencoder, or the application

    >>> model.save(folder / "digits")
    >>> bool((load(folder / "digits").transform(X) == model.transform(X)).all())
    True
    """
    path = Path(path).expanduser()
    if only not in (None, "encoder", "decoder") or "application" not in read_config(path):
        return load_model(path, parts=parts, only=only, device=device)
    if only is not None:
        raise ValueError(f"{path} holds an application, which needs its whole model. Load {path / 'model'} with only={only!r}.")
    from .apps import load_application

    return load_application(path, parts, device)
