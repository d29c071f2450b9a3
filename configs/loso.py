"""ICE-GAN as published: leave-one-subject-out over the prepared databases (paper, Table I).

    python -m icegan_jax.prepare --source=megc2019 --raw=MEGC --out=data/megc2019
    python -m icegan_jax.main --config=configs/loso.py --workdir=runs/loso

Full width, 128x128, batch 16, 100 epochs, loss weights of section IV-B. Expect 68 trainings of about 13,800 steps:
days on one GPU. The authors' log (docs/design.md, "Authors' log"): UF1 0.884, UAR 0.898 at each fold's best of 100 test
evaluations, 0.747 and 0.801 at its last epoch, means over folds. This program reports the last step, pooled. Not run
here in full: the databases are licensed. One update took 8 s and 7.2 GiB on 2 CPU cores.

Every field can be changed on the command line: --config.training.epochs=50.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    config = ConfigDict()

    config.seed = 0  # of initialization, noise, shuffling and mirroring; with "split", of who is held out too
    # "loso": each person held out once. "split": one fold, its test people drawn (Table III). "all": one network
    # trained on everybody, for use outside the benchmark; nobody is left to test, so that there is no score.
    config.protocol = "loso"
    config.split_share = 20 / 68  # with "split": share of the people held out (paper, Table III: 48 and 20 of 68)

    config.data = ConfigDict()
    config.data.dir = "data/megc2019"  # folder that prepare wrote; "" draws procedural faces into WORKDIR/data
    config.data.database = ""  # train and test on this one of the prepared databases alone (SDE, Table II); "": on all
    config.data.mirror = False  # flip half of the training pairs left to right; the paper does not
    config.data.shift = 0  # move training pairs, onset and apex alike, by up to this many pixels; the paper does not
    config.data.brightness = 0.0  # and make them brighter or darker by up to this share of 255; the paper does not
    config.data.procedural = ConfigDict()  # the faces drawn where dir is ""
    config.data.procedural.subjects = 8  # people
    config.data.procedural.clips_per_class = 2  # clips of each person and expression
    config.data.procedural.frames = 15  # frames of a clip, at least

    config.model = ConfigDict()
    config.model.image_size = 128  # pixels on a side (paper, III); a power of 2, that of the prepared faces
    config.model.recognition_input = "apex"  # what D sees: "apex" (paper), or "pair", the onset beside it
    config.model.pair_gain = 4.0  # with "pair": factor on apex - onset (docs/design.md, "Onset and apex as input")
    config.model.generator = "grm"  # Table III: "none" (A), "dcgan", "encoder_decoder", "skips", "se", "grm" (F)
    config.model.grm = "full"  # nodes: "full", every channel (paper, eq. 1); "compact", a quarter (the definitions)
    config.model.width = 1.0  # factor on the channels of trunk and U-Net
    config.model.embedding = 320  # channels of the identity embedding e (paper, III-A)
    config.model.noise = 100  # length of the noise vector N_z (paper, III-A)
    config.model.class_gain = 1.0  # factor on the one-hot class in the seed, whose noise is 10 long
    config.model.adjacency_std = 0.02  # of the GRM's initial adjacency matrices; the paper gives none
    config.model.motion = False  # G moves and retouches the onset's pixels; the paper's draws the whole face
    config.model.discriminator = "capsules"  # or "cnn": two convolutions in place of the capsules (Table IV, D_CNN)
    config.model.cnn_width = 1.0  # with "cnn": factor on its channels, trunk included, besides width
    config.model.trunk_norm = "batch"  # "batch" or "instance"; batch: the authors' definitions
    config.model.primary_types = 8  # PrimaryCaps: types N_prim (paper, III-B)
    config.model.primary_dimension = 16  # PrimaryCaps: d_prim (paper, III-B)
    config.model.adversarial_dimension = 256  # AdvCaps: d_adv (paper, III-B); 0: equal to d_exp (the definitions)
    config.model.expression_dimension = 32  # ExpCaps: d_exp (paper, III-B)
    config.model.routing_iterations = 3  # Sabour et al. 2017
    config.model.routing_axis = "output"  # couplings sum to 1 over "output" (Sabour) or "input" capsules (definitions)
    config.model.capsule_std = 0.01  # of the initial capsule transformations (the authors' definitions)
    config.model.reconstruction_hidden = (512, 1024)  # hidden layers (Sabour et al. 2017); definitions: 512, 1024, 5120
    config.model.reconstruction_width = 1.0  # factor on them
    config.model.reconstruction_spectral = False  # spectral norm there; the definitions have it

    config.loss = ConfigDict()
    config.loss.adversarial = 0.1  # weight of L_gan (paper, IV-B)
    config.loss.synthesis = 1.0  # weight of L_ip (paper, IV-B: "mes")
    config.loss.recognition = 1.0  # weight of L_cls (paper, IV-B: "mer")
    config.loss.synthetic_recognition = 1.0  # the same, of D on synthetic faces; the paper does not tell them apart
    config.loss.perceptual = 0.1  # alpha, the perceptual term in L_ip (paper, IV-B); 0 leaves the network out
    config.loss.perceptual_network = "vgg16"  # "vgg16" (paper) or "alexnet", both ImageNet
    config.loss.perceptual_layer = "relu2_2"  # Johnson et al. 2016; the paper gives none
    # The gradients of 5e-4 of a mean are below Adam's epsilon: the reconstruction does not learn (loso_pair.py: 0.392).
    config.loss.reconstruction = 5e-4  # beta, the reconstruction term in L_cls (paper, IV-B)

    config.loss.margin_power = 2  # of the hinges in the margin loss: 2 (paper, eq. 5) or 1 (the definitions)

    config.training = ConfigDict()
    config.training.epochs = 100  # passes over the prepared pairs (paper, IV-B)
    config.training.steps = 0  # updates of each fold; 0: epochs decide
    config.training.batch_size = 16  # pairs per update (paper, IV-B)
    config.training.learning_rate = 1e-3  # of both networks, falling to 0 as a cosine (paper, IV-B)
    config.training.b1 = 0.9  # Adam (paper, IV-B)
    config.training.b2 = 0.999  # Adam (paper, IV-B)
    config.training.parallel = "folds"  # what several devices share out: "folds", or each "batch" of the same folds
    config.training.precision = "float32"  # or "bfloat16": of the products' operands; all else stays float32
    config.training.folds_per_device = 0  # folds trained side by side on a device; 0: as many as its memory holds
    config.training.steps_per_call = 10  # updates per call of the compiled program, and per log line
    config.training.checkpoint_every = 500  # updates between checkpoints
    config.training.on_nonfinite = "stop"  # at a loss or gradient that is no finite number; or "skip_fold"
    config.training.collapse_after = 5  # warns after this many passes with all clips taken for one class; 0: never

    config.evaluation = ConfigDict()
    config.evaluation.selection = "last"  # of the recognizer: the "last" step, or best on "inner" validation
    config.evaluation.inner_share = 0.0  # share of a fold's training people kept out of it for inner validation
    config.evaluation.every = 0  # updates between evaluations during training; 0: none but the last
    config.evaluation.oracle = False  # score the best test evaluation of each fold too: not valid, shown apart
    return config
