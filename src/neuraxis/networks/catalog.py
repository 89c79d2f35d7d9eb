"""The networks by name. A new one is one file here and one line in each table below."""

from neuraxis.registry import Catalog, Entry

# Those that are told where to look: they predict slices by another way, have no ONNX form, and do not say their layers.
PROMPTED = ("sam", "sam2")
NETWORKS = Catalog(
    "network",
    {
        "unet": Entry(
            "neuraxis.networks.unet:UNet", "plain U-Net, 2D and 3D, nnU-Net's standard architecture", "train"
        ),
        "residual-unet": Entry(
            "neuraxis.networks.residual_unet:ResidualUNet",
            "U-Net with a residual encoder, 2D and 3D, nnU-Net's ResEnc M and L",
            "train",
        ),
        "classic-unet": Entry(
            "neuraxis.networks.classic_unet:ClassicUNet",
            "U-Net with max pooling and ReLU, 2D and 3D, of Ronneberger 2015 and Çiçek 2016",
            "train",
        ),
        "segresnet": Entry(
            "neuraxis.networks.segresnet:SegResNet", "residual network with group norm, 2D and 3D, of MONAI", "train"
        ),
        "monai-unet": Entry(
            "neuraxis.networks.monai_unet:MonaiUNet", "U-Net with residual units, 2D and 3D, of MONAI", "train"
        ),
        "attention-unet": Entry(
            "neuraxis.networks.attention_unet:AttentionUNet",
            "plain U-Net with a gate in each skip connection, 2D and 3D",
            "train",
        ),
        "deeplab": Entry(
            "neuraxis.networks.deeplab:DeepLab",
            "DeepLabV3+ with a residual encoder, 2D and 3D",
            "train",
        ),
        "flexible-unet": Entry(
            "neuraxis.networks.flexible_unet:FlexibleUNet",
            "classic U-Net with large kernels, dropout and dilation, 2D and 3D",
            "train",
        ),
        "multires-unet": Entry(
            "neuraxis.networks.multires_unet:MultiResUNet",
            "U-Net whose blocks see three sizes, 2D and 3D, of Ibtehaz 2020",
            "train",
        ),
        "unet3plus": Entry(
            "neuraxis.networks.unet3plus:UNet3Plus",
            "U-Net 3+: all scales in every stage of the decoder, 2D and 3D",
            "train",
        ),
        "segformer3d": Entry(
            "neuraxis.networks.segformer3d:SegFormer3D", "small transformer with a linear decoder, 3D and 2D", "train"
        ),
        "segformer3d-moe": Entry(
            "neuraxis.networks.segformer3d_moe:SegFormer3DMoE",
            "SegFormer3D with mixtures of experts, 3D and 2D",
            "train",
        ),
        "unetr": Entry(
            "neuraxis.networks.unetr:UNETR",
            "vision transformer that reads the image, decoder of convolutions, 3D and 2D",
            "train",
        ),
        "transunet": Entry(
            "neuraxis.networks.transunet:TransUNet",
            "residual-encoder U-Net with a vision transformer at its coarsest stage, 2D and 3D",
            "train",
        ),
        "swin-unetr": Entry(
            "neuraxis.networks.swin_unetr:SwinUNETR",
            "transformer of shifted windows, decoder of convolutions, 3D and 2D",
            "train",
        ),
        "swin-unet": Entry(
            "neuraxis.networks.swin_unet:SwinUNet",
            "U-Net of shifted windows without convolutions, 2D and 3D",
            "train",
        ),
        "mednext": Entry(
            "neuraxis.networks.mednext:MedNeXt",
            "U-Net of depth-wise convolutions, sizes S, B, M and L, 3D and 2D, of MONAI",
            "train",
        ),
        "efficientnet-unet": Entry(
            "neuraxis.networks.efficientnet_unet:EfficientNetUNet",
            "U-Net with an EfficientNet encoder, B0 to B7, 2D and 3D",
            "train",
        ),
        "sam": Entry("neuraxis.networks.sam.sam:Sam", "SAM or MedSAM, told where to look, slice by slice", "sam"),
        "sam2": Entry("neuraxis.networks.sam.sam2:Sam2", "SAM 2, told where to look, slice by slice", "sam"),
    },
)
OPTIONS = Catalog(
    "network",
    {
        "unet": Entry("neuraxis.networks.options:UNetOptions", "options of the plain U-Net"),
        "residual-unet": Entry("neuraxis.networks.options:ResidualUNetOptions", "options of the residual U-Net"),
        "classic-unet": Entry("neuraxis.networks.options:ClassicUNetOptions", "options of the classic U-Net"),
        "segresnet": Entry("neuraxis.networks.options:SegResNetOptions", "options of SegResNet"),
        "monai-unet": Entry("neuraxis.networks.options:MonaiUNetOptions", "options of MONAI's U-Net"),
        "attention-unet": Entry("neuraxis.networks.options:AttentionUNetOptions", "options of the attention U-Net"),
        "deeplab": Entry("neuraxis.networks.options:DeepLabOptions", "options of DeepLabV3+"),
        "flexible-unet": Entry("neuraxis.networks.options:FlexibleUNetOptions", "options of the flexible U-Net"),
        "multires-unet": Entry("neuraxis.networks.options:MultiResUNetOptions", "options of MultiResUNet"),
        "unet3plus": Entry("neuraxis.networks.options:UNet3PlusOptions", "options of U-Net 3+"),
        "segformer3d": Entry("neuraxis.networks.transformer_options:SegFormer3DOptions", "options of SegFormer3D"),
        "segformer3d-moe": Entry(
            "neuraxis.networks.transformer_options:SegFormer3DMoEOptions", "options of SegFormer3D with experts"
        ),
        "unetr": Entry("neuraxis.networks.vit_options:UNETROptions", "options of UNETR"),
        "transunet": Entry("neuraxis.networks.vit_options:TransUNetOptions", "options of TransUNet"),
        "swin-unetr": Entry("neuraxis.networks.swin_options:SwinUNETROptions", "options of Swin UNETR"),
        "swin-unet": Entry("neuraxis.networks.swin_options:SwinUNetOptions", "options of Swin-Unet"),
        "mednext": Entry("neuraxis.networks.depthwise_options:MedNeXtOptions", "options of MedNeXt"),
        "efficientnet-unet": Entry(
            "neuraxis.networks.depthwise_options:EfficientNetUNetOptions", "options of the EfficientNet U-Net"
        ),
        "sam": Entry("neuraxis.networks.sam.options:SamOptions", "options of SAM and MedSAM"),
        "sam2": Entry("neuraxis.networks.sam.options:Sam2Options", "options of SAM 2"),
    },
    group="network_options",
)
LAYERS = Catalog(
    "network",
    {
        "unet": Entry("neuraxis.networks.layers:unet_layers", "layers of the plain U-Net"),
        "residual-unet": Entry("neuraxis.networks.layers:residual_unet_layers", "layers of the residual U-Net"),
        "classic-unet": Entry("neuraxis.networks.layers:classic_unet_layers", "layers of the classic U-Net"),
        "segresnet": Entry("neuraxis.networks.monai_layers:segresnet_layers", "layers of SegResNet"),
        "monai-unet": Entry("neuraxis.networks.monai_layers:monai_unet_layers", "layers of MONAI's U-Net"),
        "attention-unet": Entry("neuraxis.networks.unet_layers:attention_unet_layers", "layers of the attention U-Net"),
        "deeplab": Entry("neuraxis.networks.unet_layers:deeplab_layers", "layers of DeepLabV3+"),
        "flexible-unet": Entry("neuraxis.networks.unet_layers:flexible_unet_layers", "layers of the flexible U-Net"),
        "multires-unet": Entry("neuraxis.networks.unet_layers:multires_unet_layers", "layers of MultiResUNet"),
        "unet3plus": Entry("neuraxis.networks.unet_layers:unet3plus_layers", "layers of U-Net 3+"),
        "segformer3d": Entry("neuraxis.networks.transformer_layers:segformer3d_layers", "layers of SegFormer3D"),
        "segformer3d-moe": Entry(
            "neuraxis.networks.transformer_layers:segformer3d_moe_layers", "layers of SegFormer3D with experts"
        ),
        "unetr": Entry("neuraxis.networks.vit_layers:unetr_layers", "layers of UNETR"),
        "transunet": Entry("neuraxis.networks.vit_layers:transunet_layers", "layers of TransUNet"),
        "swin-unetr": Entry("neuraxis.networks.swin_layers:swin_unetr_layers", "layers of Swin UNETR"),
        "swin-unet": Entry("neuraxis.networks.swin_layers:swin_unet_layers", "layers of Swin-Unet"),
        "mednext": Entry("neuraxis.networks.depthwise_layers:mednext_layers", "layers of MedNeXt"),
        "efficientnet-unet": Entry(
            "neuraxis.networks.depthwise_layers:efficientnet_unet_layers", "layers of the EfficientNet U-Net"
        ),
    },
    group="network_layers",
)
