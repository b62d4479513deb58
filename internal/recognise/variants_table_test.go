package recognise_test

const (
	// mbConv is PlainUSR's block under NAME, of 8 channels.
	mbConv = `NAME.expand_conv.weight[16,8,1,1] NAME.expand_conv.bias[16] NAME.fea_conv.weight[16,16,3,3] NAME.fea_conv.bias[16]
		NAME.reduce_conv.weight[8,16,1,1] NAME.reduce_conv.bias[8] NAME.se.tensor[1,16,1,1] NAME.se.se.1.weight[4,16] NAME.se.se.3.weight[16,4] `
	conv8 = `NAME.weight[8,8,3,3] NAME.bias[8] `
	rrrb8 = `NAME.expand_conv.weight[16,8,1,1] NAME.expand_conv.bias[16] NAME.fea_conv.weight[16,16,3,3] NAME.fea_conv.bias[16]
		NAME.reduce_conv.weight[8,16,1,1] NAME.reduce_conv.bias[8] `
	// edges is the three edge branches of ECB and its kin under NAME.
	edges = `NAME_sbx.k0[8,8,1,1] NAME_sbx.b0[8] NAME_sbx.scale[8,1,1,1] NAME_sbx.bias[8] NAME_sbx.mask[8,1,3,3]
		NAME_sby.k0[8,8,1,1] NAME_sby.b0[8] NAME_sby.scale[8,1,1,1] NAME_sby.bias[8] NAME_sby.mask[8,1,3,3]
		NAME_lpl.k0[8,8,1,1] NAME_lpl.b0[8] NAME_lpl.scale[8,1,1,1] NAME_lpl.bias[8] NAME_lpl.mask[8,1,3,3] `
	etdsTrain = `conv_first.weight[8,3,3,3] conv_first.bias[8] conv_residual_first.weight[3,3,3,3] conv_residual_first.bias[3]
		backbone_convs.0.weight[8,8,3,3] backbone_convs.0.bias[8] residual_convs.0.weight[3,3,3,3] residual_convs.0.bias[3]
		add_residual_convs.0.weight[8,3,3,3] add_residual_convs.0.bias[8]
		conv_last.weight[27,8,3,3] conv_last.bias[27] conv_residual_last.weight[27,3,3,3] conv_residual_last.bias[27]`
)

var variants = []variant{
	{name: "gcnet, stride 2", family: "gcnet",
		train: `b.path_3x3_1.conv1.conv.weight[8,6,3,3] b.path_3x3_1.conv1.bn:8 b.path_3x3_1.conv2.conv.weight[8,8,1,1] b.path_3x3_1.conv2.bn:8
			b.path_3x3_2.conv1.conv.weight[8,6,3,3] b.path_3x3_2.conv1.bn:8 b.path_3x3_2.conv2.conv.weight[8,8,1,1] b.path_3x3_2.conv2.bn:8
			b.path_1x1.conv1.conv.weight[8,6,1,1] b.path_1x1.conv1.bn:8 b.path_1x1.conv2.conv.weight[8,8,1,1] b.path_1x1.conv2.bn:8`,
		deploy: `b.reparam_3x3.weight[8,6,3,3] b.reparam_3x3.bias[8]`},
	{name: "textnet, doctr", family: "textnet",
		train: `b.conv.weight[8,8,3,3] b.bn:8 b.ver_conv.weight[8,8,3,1] b.ver_bn:8 b.hor_conv.weight[8,8,1,3] b.hor_bn:8 b.rbr_identity:8
			c.conv.weight[8,8,3,1] c.bn:8 c.hor_conv.weight[8,8,1,1] c.hor_bn:8 c.rbr_identity:8`,
		deploy: `b.fused_conv.weight[8,8,3,3] b.fused_conv.bias[8] c.fused_conv.weight[8,8,3,1] c.fused_conv.bias[8]`},
	{name: "textnet, transformers", family: "textnet",
		train: `b.main_conv.weight[8,4,3,3] b.main_batch_norm:8 b.vertical_conv.weight[8,4,3,1] b.vertical_batch_norm:8
			b.horizontal_conv.weight[8,4,1,3] b.horizontal_batch_norm:8`,
		deploy: `b.fused_conv.weight[8,4,3,3] b.fused_conv.bias[8]`},
	{name: "slab, layer norm left behind", family: "slab-block",
		train: `b.norm1.warm[1] b.norm1.iter[1] b.norm1.total_step[1] b.norm1.norm1.weight[8] b.norm1.norm1.bias[8] b.norm1.norm2.alpha[1] b.norm1.norm2.bn:8
			b.norm2.warm[1] b.norm2.iter[1] b.norm2.total_step[1] b.norm2.norm1.weight[8] b.norm2.norm1.bias[8] b.norm2.norm2.alpha[1] b.norm2.norm2.bn:8
			b.attn.qkv.weight[24,8] b.attn.proj.weight[8,8] b.attn.proj.bias[8]
			b.mlp.fc1.weight[16,8] b.mlp.fc1.bias[16] b.mlp.fc2.weight[8,16] b.mlp.fc2.bias[8]`,
		deploy: `b.attn.qkv.weight[24,8] b.attn.qkv.bias[24] b.attn.proj.weight[8,8] b.attn.proj.bias[8]
			b.mlp.fc1.weight[16,8] b.mlp.fc1.bias[16] b.mlp.fc2.weight[8,16] b.mlp.fc2.bias[8]`},
	{name: "omnishift, RTMoSR", family: "omnishift",
		train: `b.alpha1[1,6,1,1] b.alpha2[1,6,1,1] b.alpha3[1,6,1,1] b.alpha4[1,6,1,1] b.conv1x1.weight[6,1,1,1] b.conv1x1.bias[6]
			b.conv3x3.weight[6,1,3,3] b.conv3x3.bias[6] b.conv5x5.weight[6,1,5,5] b.conv5x5.bias[6]
			b.conv5x5_reparam.weight[6,1,5,5] b.conv5x5_reparam.bias[6]`,
		deploy: `b.conv5x5_reparam.weight[6,1,5,5] b.conv5x5_reparam.bias[6]`},
	{name: "repghost, birder", family: "repghost", sets: []string{"second=no"},
		train:  `b.primary_conv.0.weight[6,4,1,1] b.primary_conv.1:6 b.cheap_operation.0.weight[6,1,3,3] b.cheap_operation.1:6 b.fusion_bn:6`,
		deploy: `b.primary_conv.0.weight[6,4,1,1] b.primary_conv.1:6 b.cheap_operation.weight[6,1,3,3] b.cheap_operation.bias[6]`},
	{name: "birder, repvit", family: "birder-repvit-dw",
		train: `body.stage1.blocks.0.token_mixer.conv.c.weight[6,1,3,3] body.stage1.blocks.0.token_mixer.conv.bn:6
			body.stage1.blocks.0.token_mixer.conv1x1.weight[6,1,1,1] body.stage1.blocks.0.token_mixer.conv1x1.bias[6] body.stage1.blocks.0.token_mixer.bn:6
			body.stage1.blocks.0.channel_mixer.conv1.c.weight[12,6,1,1] body.stage1.blocks.0.channel_mixer.conv1.bn:12`,
		deploy: `body.stage1.blocks.0.token_mixer.conv.weight[6,1,3,3] body.stage1.blocks.0.token_mixer.conv.bias[6]
			body.stage1.blocks.0.channel_mixer.conv1.c.weight[12,6,1,1] body.stage1.blocks.0.channel_mixer.conv1.c.bias[12]`},
	{name: "timm, levit", family: "conv-norm",
		train: `stem.conv1.linear.weight[8,3,3,3] stem.conv1.bn:8 stages.0.blocks.0.attn.qkv.linear.weight[8,8] stages.0.blocks.0.attn.qkv.bn:8
			head.bn:8 head.linear.weight[8,8] head.linear.bias[8]`,
		deploy: `stem.conv1.weight[8,3,3,3] stem.conv1.bias[8] stages.0.blocks.0.attn.qkv.weight[8,8] stages.0.blocks.0.attn.qkv.bias[8] head.weight[8,8] head.bias[8]`},
	{name: "ultralytics, YOLO26", family: "yolo-conv",
		train: `model.0.conv.weight[8,3,3,3] model.0.bn:8 model.1.one2one_cv2.0.0.conv.weight[8,8,3,3] model.1.one2one_cv2.0.0.bn:8
			model.1.one2one_cv2.0.2.weight[4,8,1,1] model.1.one2one_cv2.0.2.bias[4]`,
		deploy: `model.0.conv.weight[8,3,3,3] model.0.conv.bias[8] model.1.one2one_cv2.0.0.conv.weight[8,8,3,3] model.1.one2one_cv2.0.0.conv.bias[8]
			model.1.one2one_cv2.0.2.weight[4,8,1,1] model.1.one2one_cv2.0.2.bias[4]`},
	{name: "ultralytics, classifier", family: "yolo-conv",
		train: `model.0.conv.weight[8,3,3,3] model.0.bn:8 model.1.conv.conv.weight[16,8,1,1] model.1.conv.bn:16 model.1.linear.weight[5,16] model.1.linear.bias[5]`,
		deploy: `model.0.conv.weight[8,3,3,3] model.0.conv.bias[8] model.1.conv.conv.weight[16,8,1,1] model.1.conv.conv.bias[16]
			model.1.linear.weight[5,16] model.1.linear.bias[5]`},
	{name: "rtdetr, encoder", family: "rtdetr/encoder",
		train: `encoder.fpn_blocks.0.bottlenecks.0.conv1.conv.weight[8,8,3,3] encoder.fpn_blocks.0.bottlenecks.0.conv1.norm:8
			encoder.fpn_blocks.0.bottlenecks.0.conv2.conv.weight[8,8,1,1] encoder.fpn_blocks.0.bottlenecks.0.conv2.norm:8
			encoder.pan_blocks.0.bottlenecks.0.conv1.conv.weight[8,8,3,3] encoder.pan_blocks.0.bottlenecks.0.conv1.norm:8
			encoder.pan_blocks.0.bottlenecks.0.conv2.conv.weight[8,8,1,1] encoder.pan_blocks.0.bottlenecks.0.conv2.norm:8`,
		deploy: `encoder.fpn_blocks.0.bottlenecks.0.conv1.conv.weight[8,8,3,3] encoder.fpn_blocks.0.bottlenecks.0.conv1.norm:8
			encoder.fpn_blocks.0.bottlenecks.0.conv2.conv.weight[8,8,1,1] encoder.fpn_blocks.0.bottlenecks.0.conv2.norm:8
			encoder.pan_blocks.0.bottlenecks.0.conv1.conv.weight[8,8,3,3] encoder.pan_blocks.0.bottlenecks.0.conv1.norm:8
			encoder.pan_blocks.0.bottlenecks.0.conv2.conv.weight[8,8,1,1] encoder.pan_blocks.0.bottlenecks.0.conv2.norm:8
			encoder.fpn_blocks.0.bottlenecks.0.conv.weight[8,8,3,3] encoder.fpn_blocks.0.bottlenecks.0.conv.bias[8]
			encoder.pan_blocks.0.bottlenecks.0.conv.weight[8,8,3,3] encoder.pan_blocks.0.bottlenecks.0.conv.bias[8]`},
	{name: "weight norm, new keys", family: "weight-norm",
		train:  `b.parametrizations.weight.original0[8,1,1] b.parametrizations.weight.original1[8,4,3] b.bias[8]`,
		deploy: `b.weight[8,4,3] b.bias[8]`},
	{name: "weight norm before a batch norm", family: "conv-bn", choices: []string{"conv-bn"},
		train: `a.conv.weight_g[8,1,1,1] a.conv.weight_v[8,4,3,3] a.conv.bias[8] a.bn:8
			b.conv.parametrizations.weight.original0[8,1,1,1] b.conv.parametrizations.weight.original1[8,4,3,3] b.bn:8`,
		deploy: `a.conv.weight[8,4,3,3] a.conv.bias[8] b.conv.weight[8,4,3,3] b.conv.bias[8]`},
	{name: "damoyolo, stride 2, groups 2", family: "repvgg/yolov6", choices: []string{"repvgg/yolov6"},
		train:  `b.rbr_dense.conv.weight[12,4,3,3] b.rbr_dense.bn:12 b.rbr_1x1.conv.weight[12,4,1,1] b.rbr_1x1.bn:12`,
		deploy: `b.rbr_reparam.weight[12,4,3,3] b.rbr_reparam.bias[12]`},
	{name: "yolov6, groups 4", family: "repvgg/yolov6", choices: []string{"repvgg/yolov6"},
		train:  `b.rbr_identity:16 b.rbr_dense.conv.weight[16,4,3,3] b.rbr_dense.bn:16 b.rbr_1x1.conv.weight[16,4,1,1] b.rbr_1x1.bn:16`,
		deploy: `b.rbr_reparam.weight[16,4,3,3] b.rbr_reparam.bias[16]`},
	{name: "yolov6, network", family: "repvgg/yolov6",
		train: `backbone.stem.rbr_dense.conv.weight[8,3,3,3] backbone.stem.rbr_dense.bn:8 backbone.stem.rbr_1x1.conv.weight[8,3,1,1] backbone.stem.rbr_1x1.bn:8
			backbone.ERBlock_2.0.rbr_dense.conv.weight[16,8,3,3] backbone.ERBlock_2.0.rbr_dense.bn:16
			backbone.ERBlock_2.0.rbr_1x1.conv.weight[16,8,1,1] backbone.ERBlock_2.0.rbr_1x1.bn:16
			backbone.ERBlock_2.1.alpha[1]
			detect.stems.0.block.conv.weight[8,16,1,1] detect.stems.0.block.bn:8
			neck.upsample0.upsample_transpose.weight[8,8,2,2] neck.upsample0.upsample_transpose.bias[8]
			detect.proj[17] detect.proj_conv.weight[1,17,1,1]`,
		deploy: `backbone.stem.rbr_reparam.weight[8,3,3,3] backbone.stem.rbr_reparam.bias[8]
			backbone.ERBlock_2.0.rbr_reparam.weight[16,8,3,3] backbone.ERBlock_2.0.rbr_reparam.bias[16] backbone.ERBlock_2.1.alpha[1]
			detect.stems.0.block.conv.weight[8,16,1,1] detect.stems.0.block.conv.bias[8]
			neck.upsample0.upsample_transpose.weight[8,8,2,2] neck.upsample0.upsample_transpose.bias[8]
			detect.proj[17] detect.proj_conv.weight[1,17,1,1]`},
	{name: "yolov6, network with QARepVGG", family: "yolov6-qarepvgg", sets: []string{"identity=no", "avgpool=no"},
		train: `backbone.stem.rbr_dense.conv.weight[8,3,3,3] backbone.stem.rbr_dense.bn:8 backbone.stem.rbr_1x1.weight[8,3,1,1] backbone.stem.bn:8
			backbone.ERBlock_2.0.rbr_dense.conv.weight[8,8,3,3] backbone.ERBlock_2.0.rbr_dense.bn:8
			backbone.ERBlock_2.0.rbr_1x1.weight[8,8,1,1] backbone.ERBlock_2.0.bn:8`,
		deploy: `backbone.stem.rbr_reparam.weight[8,3,3,3] backbone.stem.rbr_reparam.bias[8] backbone.stem.bn:8
			backbone.ERBlock_2.0.rbr_reparam.weight[8,8,3,3] backbone.ERBlock_2.0.rbr_reparam.bias[8] backbone.ERBlock_2.0.bn:8`},
	{name: "damo-yolo, network", family: "repvgg/yolov6",
		train: `neck.merge_3.conv1.conv.weight[4,8,1,1] neck.merge_3.conv1.bn:4 neck.merge_3.conv2.conv.weight[4,8,1,1] neck.merge_3.conv2.bn:4
			neck.merge_3.convs.0.conv1.conv.weight[4,4,3,3] neck.merge_3.convs.0.conv1.bn:4
			neck.merge_3.convs.0.conv2.rbr_dense.conv.weight[4,4,3,3] neck.merge_3.convs.0.conv2.rbr_dense.bn:4
			neck.merge_3.convs.0.conv2.rbr_1x1.conv.weight[4,4,1,1] neck.merge_3.convs.0.conv2.rbr_1x1.bn:4`,
		deploy: `neck.merge_3.conv1.conv.weight[4,8,1,1] neck.merge_3.conv1.bn:4 neck.merge_3.conv2.conv.weight[4,8,1,1] neck.merge_3.conv2.bn:4
			neck.merge_3.convs.0.conv1.conv.weight[4,4,3,3] neck.merge_3.convs.0.conv1.bn:4
			neck.merge_3.convs.0.conv2.rbr_reparam.weight[4,4,3,3] neck.merge_3.convs.0.conv2.rbr_reparam.bias[4]`},
	{name: "mmyolo, alpha", family: "mmyolo-repvgg",
		train:  `b.alpha[1] b.rbr_dense.conv.weight[12,12,3,3] b.rbr_dense.bn:12 b.rbr_1x1.conv.weight[12,12,1,1] b.rbr_1x1.bn:12`,
		deploy: `b.alpha[1] b.rbr_reparam.weight[12,12,3,3] b.rbr_reparam.bias[12]`},
	{name: "yolov7, groups 4", family: "yolov7-repconv",
		train:  `m.rbr_dense.0.weight[16,2,3,3] m.rbr_dense.1:16 m.rbr_1x1.0.weight[16,2,1,1] m.rbr_1x1.1:16`,
		deploy: `m.rbr_reparam.weight[16,2,3,3] m.rbr_reparam.bias[16]`},
	{name: "yolov7, auxiliary heads", family: "yolov7-implicit",
		train: `m.anchors[1,3,2] m.anchor_grid[1,1,3,1,1,2] m.m.0.weight[21,8,1,1] m.m.0.bias[21] m.m2.0.weight[21,8,1,1] m.m2.0.bias[21]
			m.ia.0.implicit[1,8,1,1] m.im.0.implicit[1,21,1,1]`,
		deploy: `m.anchors[1,3,2] m.anchor_grid[1,1,3,1,1,2] m.m.0.weight[21,8,1,1] m.m.0.bias[21] m.m2.0.weight[21,8,1,1] m.m2.0.bias[21]
			m.ia.0.implicit[1,8,1,1] m.im.0.implicit[1,21,1,1]`},
	{name: "yolov7, auxiliary heads dropped", family: "yolov7-implicit/notebook", choices: []string{"yolov7-implicit/notebook"},
		train: `m.anchors[1,3,2] m.anchor_grid[1,1,3,1,1,2] m.m.0.weight[21,8,1,1] m.m.0.bias[21] m.m2.0.weight[21,8,1,1] m.m2.0.bias[21]
			m.ia.0.implicit[1,8,1,1] m.im.0.implicit[1,21,1,1]`,
		deploy: `m.anchors[1,3,2] m.anchor_grid[1,1,3,1,1,2] m.m.0.weight[21,8,1,1] m.m.0.bias[21]`},
	{name: "yolov9, groups 2, stride 2", family: "repconv", sets: []string{"parallel=yes"},
		train:  `cv1.conv1.conv.weight[16,4,3,3] cv1.conv1.bn:16 cv1.conv2.conv.weight[16,4,1,1] cv1.conv2.bn:16`,
		deploy: `cv1.conv.weight[16,4,3,3] cv1.conv.bias[16]`},
	{name: "ultralytics, network", family: "yolo-conv",
		train: `model.0.conv.weight[8,3,3,3] model.0.bn:8 model.1.cv1.conv.weight[8,8,1,1] model.1.cv1.bn:8
			model.2.cv2.0.0.conv.weight[8,8,3,3] model.2.cv2.0.0.bn:8 model.2.cv2.0.2.weight[4,8,1,1] model.2.cv2.0.2.bias[4] model.2.dfl.conv.weight[1,16,1,1]`,
		deploy: `model.0.conv.weight[8,3,3,3] model.0.conv.bias[8] model.1.cv1.conv.weight[8,8,1,1] model.1.cv1.conv.bias[8]
			model.2.cv2.0.0.conv.weight[8,8,3,3] model.2.cv2.0.0.conv.bias[8] model.2.cv2.0.2.weight[4,8,1,1] model.2.cv2.0.2.bias[4] model.2.dfl.conv.weight[1,16,1,1]`},
	{name: "ultralytics, Conv2, groups 2", family: "ultralytics-conv2",
		train:  `model.0.conv.weight[16,4,3,3] model.0.bn:16 model.0.cv2.weight[16,4,1,1]`,
		deploy: `model.0.conv.weight[16,4,3,3] model.0.conv.bias[16]`},
	{name: "rtdetr, CSPRepLayer", family: "rtdetr", sets: []string{"parallel=yes"},
		train: `b.conv1.conv.weight[8,16,1,1] b.conv1.norm:8 b.conv2.conv.weight[8,16,1,1] b.conv2.norm:8
			b.bottlenecks.0.conv1.conv.weight[8,8,3,3] b.bottlenecks.0.conv1.norm:8 b.bottlenecks.0.conv2.conv.weight[8,8,1,1] b.bottlenecks.0.conv2.norm:8`,
		deploy: `b.conv1.conv.weight[8,16,1,1] b.conv1.norm:8 b.conv2.conv.weight[8,16,1,1] b.conv2.norm:8
			b.bottlenecks.0.conv1.conv.weight[8,8,3,3] b.bottlenecks.0.conv1.norm:8 b.bottlenecks.0.conv2.conv.weight[8,8,1,1] b.bottlenecks.0.conv2.norm:8
			b.bottlenecks.0.conv.weight[8,8,3,3] b.bottlenecks.0.conv.bias[8]`},
	{name: "rtdetrv2, CSPResNet, no alpha, by class", family: "repconv/rtdetrv2", classes: map[string]string{"b": "RepVggBlock"},
		train: `b.conv1.conv.weight[8,8,3,3] b.conv1.bn:8 b.conv2.conv.weight[8,8,1,1] b.conv2.bn:8`,
		deploy: `b.conv1.conv.weight[8,8,3,3] b.conv1.bn:8 b.conv2.conv.weight[8,8,1,1] b.conv2.bn:8
			b.conv.weight[8,8,3,3] b.conv.bias[8]`},
	{name: "rtdetrv2, CSPResNet, alpha", family: "rtdetrv2-csp",
		train: `b.alpha[1] b.conv1.conv.weight[12,12,3,3] b.conv1.bn:12 b.conv2.conv.weight[12,12,1,1] b.conv2.bn:12`,
		deploy: `b.alpha[1] b.conv1.conv.weight[12,12,3,3] b.conv1.bn:12 b.conv2.conv.weight[12,12,1,1] b.conv2.bn:12
			b.conv.weight[12,12,3,3] b.conv.bias[12]`},
	{name: "dfine, neck", family: "dfine-convnorm",
		train: `encoder.input_proj.0.conv.weight[8,16,1,1] encoder.input_proj.0.norm:8
			encoder.lateral_convs.0.conv.weight[8,8,1,1] encoder.lateral_convs.0.norm:8
			encoder.fpn_blocks.0.cv1.conv.weight[8,16,1,1] encoder.fpn_blocks.0.cv1.norm:8
			encoder.fpn_blocks.0.cv2.0.bottlenecks.0.conv1.conv.weight[4,4,3,3] encoder.fpn_blocks.0.cv2.0.bottlenecks.0.conv1.norm:4
			encoder.fpn_blocks.0.cv2.0.bottlenecks.0.conv2.conv.weight[4,4,1,1] encoder.fpn_blocks.0.cv2.0.bottlenecks.0.conv2.norm:4
			encoder.fpn_blocks.0.cv4.conv.weight[8,16,1,1] encoder.fpn_blocks.0.cv4.norm:8`,
		deploy: `encoder.input_proj.0.conv.weight[8,16,1,1] encoder.input_proj.0.norm:8
			encoder.lateral_convs.0.conv_bn_fused.weight[8,8,1,1] encoder.lateral_convs.0.conv_bn_fused.bias[8]
			encoder.fpn_blocks.0.cv1.conv_bn_fused.weight[8,16,1,1] encoder.fpn_blocks.0.cv1.conv_bn_fused.bias[8]
			encoder.fpn_blocks.0.cv2.0.bottlenecks.0.conv.weight[4,4,3,3] encoder.fpn_blocks.0.cv2.0.bottlenecks.0.conv.bias[4]
			encoder.fpn_blocks.0.cv4.conv_bn_fused.weight[8,16,1,1] encoder.fpn_blocks.0.cv4.conv_bn_fused.bias[8]`},
	{name: "super-gradients, RepVGG without identity", family: "sg-repvgg",
		train:  `b.branch_3x3.conv.weight[16,12,3,3] b.branch_3x3.bn:16 b.branch_1x1.conv.weight[16,12,1,1] b.branch_1x1.bn:16`,
		deploy: `b.rbr_reparam.weight[16,12,3,3] b.rbr_reparam.bias[16]`},
	{name: "super-gradients, QARepVGG of other channels", family: "sg-qarepvgg",
		train: `b.branch_3x3.conv.weight[16,12,3,3] b.branch_3x3.bn:16 b.branch_1x1.weight[16,12,1,1] b.branch_1x1.bias[16] b.post_bn:16
			b.rbr_reparam.weight[16,12,3,3] b.rbr_reparam.bias[16]`,
		deploy: `b.post_bn:16 b.rbr_reparam.weight[16,12,3,3] b.rbr_reparam.bias[16]`},
	{name: "lcnetv3, depthwise, stride 2", family: "lcnetv3",
		train: `b.conv_kxk.0.conv.weight[12,1,3,3] b.conv_kxk.0.bn:12 b.conv_kxk.1.conv.weight[12,1,3,3] b.conv_kxk.1.bn:12
			b.conv_1x1.conv.weight[12,1,1,1] b.conv_1x1.bn:12 b.lab.scale[1] b.lab.bias[1] b.act.lab.scale[1] b.act.lab.bias[1]`,
		deploy: `b.conv_kxk.0.conv.weight[12,1,3,3] b.conv_kxk.0.bn:12 b.conv_kxk.1.conv.weight[12,1,3,3] b.conv_kxk.1.bn:12
			b.conv_1x1.conv.weight[12,1,1,1] b.conv_1x1.bn:12 b.lab.scale[1] b.lab.bias[1] b.act.lab.scale[1] b.act.lab.bias[1]
			b.reparam_conv.weight[12,1,3,3] b.reparam_conv.bias[12]`},
	{name: "lcnetv3, Paddle", family: "lcnetv3-paddle",
		train: `b.conv_kxk.0.conv.weight[12,1,3,3] b.conv_kxk.0.bn:12p b.conv_1x1.conv.weight[12,1,1,1] b.conv_1x1.bn:12p b.identity:12p
			b.lab.scale[1] b.lab.bias[1] b.act.lab.scale[1] b.act.lab.bias[1]`,
		deploy: `b.lab.scale[1] b.lab.bias[1] b.act.lab.scale[1] b.act.lab.bias[1] b.reparam_conv.weight[12,1,3,3] b.reparam_conv.bias[12]`},
	{name: "lcnetv4", family: "lcnetv4",
		train: `token_mixer.rep_dw.conv.conv.weight[12,1,3,3] token_mixer.rep_dw.conv.bn:12p
			token_mixer.rep_dw.conv1.weight[12,1,1,1] token_mixer.rep_dw.bn:12p`,
		deploy: `token_mixer.rep_dw.reparam_conv.weight[12,1,3,3] token_mixer.rep_dw.reparam_conv.bias[12]`},

	{name: "ecbsr, one colour", family: "ecbsr", sets: []string{"identity=yes"},
		train: `b.conv3x3.weight[8,1,3,3] b.conv3x3.bias[8] b.conv1x1_3x3.k0[16,1,1,1] b.conv1x1_3x3.b0[16] b.conv1x1_3x3.k1[8,16,3,3] b.conv1x1_3x3.b1[8]
			b.conv1x1_sbx.k0[8,1,1,1] b.conv1x1_sbx.b0[8] b.conv1x1_sbx.scale[8,1,1,1] b.conv1x1_sbx.bias[8] b.conv1x1_sbx.mask[8,1,3,3]
			b.conv1x1_sby.k0[8,1,1,1] b.conv1x1_sby.b0[8] b.conv1x1_sby.scale[8,1,1,1] b.conv1x1_sby.bias[8] b.conv1x1_sby.mask[8,1,3,3]
			b.conv1x1_lpl.k0[8,1,1,1] b.conv1x1_lpl.b0[8] b.conv1x1_lpl.scale[8,1,1,1] b.conv1x1_lpl.bias[8] b.conv1x1_lpl.mask[8,1,3,3]`,
		deploy: `b.conv3x3.weight[8,1,3,3] b.conv3x3.bias[8]`},
	{name: "rcn", family: "ecbsr/rcn", choices: []string{"ecbsr/rcn"},
		train: `b.conv3x3.weight[8,8,3,3] b.conv3x3.bias[8] b.conv1x1_3x3.k0[16,8,1,1] b.conv1x1_3x3.b0[16] b.conv1x1_3x3.k1[8,16,3,3] b.conv1x1_3x3.b1[8] ` +
			under("b.conv1x1", edges),
		deploy: `b.conv3x3.weight[8,8,3,3] b.conv3x3.bias[8]`},
	{name: "span, stride 2, other channels", family: "span",
		train: `b.sk.weight[8,3,1,1] b.sk.bias[8] b.conv.0.weight[6,3,1,1] b.conv.0.bias[6] b.conv.1.weight[16,6,3,3] b.conv.1.bias[16]
			b.conv.2.weight[8,16,1,1] b.conv.2.bias[8] b.eval_conv.weight[8,3,3,3] b.eval_conv.bias[8]`,
		deploy: `b.eval_conv.weight[8,3,3,3] b.eval_conv.bias[8]`},
	{name: "span, without biases", family: "span",
		train:  `b.sk.weight[8,3,1,1] b.conv.0.weight[6,3,1,1] b.conv.1.weight[16,6,3,3] b.conv.2.weight[8,16,1,1] b.eval_conv.weight[8,3,3,3]`,
		deploy: `b.eval_conv.weight[8,3,3,3]`},
	{name: "fmen, HFAB", family: "fmen-hfab",
		train: `warmup.1.bn1:12 warmup.1.squeeze.weight[8,12,3,3] warmup.1.squeeze.bias[8] warmup.1.bn2:8 ` +
			under("warmup.1.convs.0.conv1", rrrb8) + under("warmup.1.convs.0.conv2", rrrb8) +
			`warmup.1.excitate.weight[12,8,3,3] warmup.1.excitate.bias[12] warmup.1.bn3:12`,
		deploy: `warmup.1.squeeze.weight[8,12,3,3] warmup.1.squeeze.bias[8] ` +
			under("warmup.1.convs.0.conv1.rep_conv", conv8) + under("warmup.1.convs.0.conv2.rep_conv", conv8) +
			`warmup.1.excitate.weight[12,8,3,3] warmup.1.excitate.bias[12]`},
	{name: "plainusr, Blockv1", family: "plainusr-block",
		train:  under("b.body.0", mbConv) + under("b.body.2", mbConv),
		deploy: under("b.body.0", conv8) + under("b.body.2", conv8)},
	{name: "plainusr, Blockv3", family: "plainusr-block",
		train: under("b.body.0", mbConv) + under("b.body.2", mbConv) +
			`b.body.3.conv.weight[1,8,1,1] b.body.3.conv.bias[1] b.body.4.body.0.weight[8,8,3,3] b.body.4.body.0.bias[8]`,
		deploy: under("b.body.0", conv8) + under("b.body.2", conv8) + `b.body.3.body.0.weight[8,8,3,3] b.body.3.body.0.bias[8]`},
	{name: "plainusr, Blockv4", family: "plainusr-block",
		train: under("b.body.0", mbConv) + under("b.body.2", mbConv) + under("b.body.4", mbConv) +
			`b.body.5.conv.weight[1,8,1,1] b.body.5.conv.bias[1] b.body.6.body.0.weight[4,8,1,1] b.body.6.body.0.bias[4]`,
		deploy: under("b.body.0", conv8) + under("b.body.2", conv8) + under("b.body.4", conv8) +
			`b.body.5.body.0.weight[4,8,1,1] b.body.5.body.0.bias[4]`},
	{name: "sesr, residual, by class", family: "sesr", classes: map[string]string{"b": "ResidualCollapsibleLinearBlock"},
		train:  `b.conv_expand.weight[32,8,3,3] b.conv_squeeze.weight[8,32,1,1] b.conv_squeeze.bias[8] b.activation.weight[1]`,
		deploy: `b.conv_expand.weight[8,8,3,3] b.conv_expand.bias[8] b.activation.weight[1]`},
	{name: "etds, scale 3", family: "etds/x3", choices: []string{"etds/x3"}, train: etdsTrain,
		deploy: `conv_first.weight[11,3,3,3] conv_first.bias[11] backbone_convs.0.weight[11,11,3,3] backbone_convs.0.bias[11]
			conv_last.weight[28,11,3,3] conv_last.bias[28] conv_clip.weight[28,28,1,1] conv_clip.bias[28]`},
}
