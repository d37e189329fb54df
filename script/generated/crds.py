"""Makes the chart's CustomResourceDefinitions: from the types of the admin API's documents."""

from collections.abc import Mapping

from ddnsd.kube.crd import definition
from ddnsd.model.resources import Kind
from ddnsd.service.manifests import write_manifest


def crds() -> Mapping[str, str]:
    """Return the text of each file, by its name."""
    return {f"{kind.plural}.yaml": write_manifest([definition(kind)]) for kind in Kind}
