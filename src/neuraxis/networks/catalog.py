"""The networks by name. A new one is one file here and one line below."""

from neuraxis.registry import Catalog, Entry

NETWORKS = Catalog(
    "network",
    {
        "unet": Entry(
            "neuraxis.networks.unet:UNet", "plain U-Net, 2D and 3D, nnU-Net's standard architecture", "train"
        ),
    },
)
OPTIONS = Catalog(
    "network",
    {"unet": Entry("neuraxis.networks.options:UNetOptions", "options of the plain U-Net")},
    group="network_options",
)
