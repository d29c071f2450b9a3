"""ICE-GAN as published: leave-one-subject-out over the prepared databases (paper, Table I).

    python -m icegan_jax.prepare --source=megc2019 --raw=MEGC --out=data/megc2019
    python -m icegan_jax.main --config=configs/loso.py --workdir=runs/loso

The settings are full width, 128x128, batch 16, 100 epochs and the loss weights of section IV-B: 68 folds of about
13,800 steps, which take days on one GPU. The authors' log (docs/design.md, "Authors' log") has UF1 0.884 and UAR 0.898
at each fold's best of 100 test evaluations, 0.747 and 0.801 at the last epoch, as means over folds. This program
reports the last step, pooled over folds. The full run was not done here, because the databases are licensed. One update
took 8 s and 7.2 GiB on 2 CPU cores.

The command line can change every field: --config.training.epochs=50.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    config = ConfigDict()

    config.seed = 0  # of initialization, noise, shuffling and mirroring; with "split", of the held-out subjects too
    # "loso": each subject is held out once. "split": one fold with random test subjects (Table III). "all": one fold
    # trained on all subjects, for use outside the benchmark, without test subjects and scores.
    config.protocol = "loso"
    config.split_share = 20 / 68  # with "split": share of subjects held out (paper, Table III: 48 and 20 of 68)

    config.data = ConfigDict()
    config.data.dir = "data/megc2019"  # folder written by prepare; "": procedural faces, written to WORKDIR/data
    config.data.database = ""  # train and test on this prepared database alone (SDE, Table II); "": all databases
    config.data.procedural = ConfigDict()  # the procedural faces, if dir is ""
    config.data.procedural.subjects = 8  # number of subjects
    config.data.procedural.clips_per_class = 2  # clips per subject and expression
    config.data.procedural.frames = 15  # minimum number of frames per clip

    config.augmentation = ConfigDict()  # of the training pairs; the paper has none
    config.augmentation.mirror = False  # mirror half of the pairs
    config.augmentation.shift = 0  # maximum random shift of onset and apex alike, in pixels
    config.augmentation.brightness = 0.0  # maximum random change of their brightness, as a share of 255

    config.model = ConfigDict()  # what both networks share
    config.model.image_size = 128  # pixels on a side (paper, III), as in the prepared faces; a power of 2
    config.model.recognition_input = "apex"  # input of D: "apex" (paper), or "pair", onset and apex
    config.model.pair_gain = 4.0  # with "pair": factor on apex - onset (docs/design.md, "Onset and apex as input")
    config.model.noise = 100  # length of the noise vector N_z (paper, III-A)
    config.model.width = 1.0  # factor on the channels of PatchGAN and U-Net
    # Evaluation divides by the spectral norm of the last training pass (released), or makes one more power iteration.
    config.model.fixed_spectral_norm = False
    # Initial batch norm scales, reconstruction and compact graph reasoning of the released definitions, or ours.
    config.model.released_start = False
    config.model.dtype = "float32"  # or "bfloat16": of the products' operands; all else stays float32

    config.generator = ConfigDict()
    config.generator.kind = "grm"  # Table III: "none" (A), "dcgan", "encoder_decoder", "skips", "se", "grm" (F)
    config.generator.embedding = 320  # channels of the identity embedding e (paper, III-A)
    config.generator.class_gain = 1.0  # factor on the one-hot class in the seed; the norm of the noise there is 10
    config.generator.adjacency_std = 0.02  # of the GRM's initial adjacency matrices; the paper gives no value
    config.generator.compact_grm = False  # nodes: every channel (paper, eq. 1), or projections to a quarter (released)
    config.generator.motion = False  # G outputs motion and residual of the onset; the paper's G outputs the whole face

    config.discriminator = ConfigDict()
    config.discriminator.kind = "capsules"  # or "cnn": two convolutions in place of the capsules (Table IV, D_CNN)
    config.discriminator.norm = "batch"  # of the PatchGAN: "batch" (the released definitions) or "instance"
    config.discriminator.pointwise_activation = True  # LeakyReLU between PatchGAN's 1x1 convolutions; not in released
    config.discriminator.cnn_width = 1.0  # with "cnn": further factor on all its channels, PatchGAN included
    config.discriminator.primary_types = 8  # PrimaryCaps: types N_prim (paper, III-B)
    config.discriminator.primary_dimension = 16  # PrimaryCaps: d_prim (paper, III-B)
    config.discriminator.adversarial_dimension = 256  # AdvCaps: d_adv (paper, III-B)
    config.discriminator.expression_dimension = 32  # ExpCaps: d_exp (paper, III-B)
    config.discriminator.routing_iterations = 3  # Sabour et al. 2017
    config.discriminator.routing_axis = "output"  # couplings sum to 1 over "output" (Sabour) or "input" (released)
    config.discriminator.exact_lengths = False  # capsule lengths without (released) or with an epsilon of 1e-9
    config.discriminator.capsule_std = 0.01  # of the initial capsule transformations (the released definitions)
    # Hidden layers of the reconstruction (Sabour et al. 2017); the released definitions have 512, 1024 and 5120.
    config.discriminator.reconstruction_hidden = (512, 1024)
    config.discriminator.reconstruction_width = 1.0  # factor on their widths
    config.discriminator.reconstruction_spectral = False  # spectral norm in these layers, as the released definitions
    # A defect of the released definitions: the reconstructed capsule is chosen by a softmax over the batch.
    config.discriminator.batch_wide_mask = False

    config.loss = ConfigDict()
    config.loss.adversarial = 0.1  # weight of L_gan (paper, IV-B)
    config.loss.synthesis = 1.0  # weight of L_ip (paper, IV-B: "mes")
    config.loss.recognition = 1.0  # weight of L_cls (paper, IV-B: "mer")
    config.loss.synthetic_recognition = 1.0  # the same for D on synthetic faces; the paper has one weight
    config.loss.perceptual = 0.1  # alpha, weight of the perceptual term in L_ip (paper, IV-B); 0: no such term
    # Gradients of 5e-4 times a mean are below Adam's epsilon: the reconstruction does not learn (loso_pair.py: 0.392).
    config.loss.reconstruction = 5e-4  # beta, weight of the reconstruction term in L_cls (paper, IV-B)
    config.loss.margin_power = 2  # exponent of the hinges in the margin loss: 2 (paper, eq. 5) or 1 (released)

    config.perceptual = ConfigDict()
    config.perceptual.network = "vgg16"  # "vgg16" (paper) or "alexnet", both ImageNet
    config.perceptual.layer = "relu2_2"  # Johnson et al. 2016; the paper names no layer

    config.optimizer = ConfigDict()  # Adam, of both networks
    config.optimizer.learning_rate = 1e-3  # falling to 0 as a cosine (paper, IV-B)
    config.optimizer.b1 = 0.9  # paper, IV-B
    config.optimizer.b2 = 0.999  # paper, IV-B

    config.training = ConfigDict()
    config.training.epochs = 100  # passes over the prepared pairs (paper, IV-B)
    config.training.steps = 0  # updates per fold; 0: from epochs
    config.training.batch_size = 16  # pairs per update (paper, IV-B)
    # Pairs of onset and resting face, as a share of the batch, from which D learns that no change is no class; the
    # paper has none.
    config.training.resting_share = 0.0
    config.training.parallel = "folds"  # what several devices share: "folds", or each "batch" of the same folds
    config.training.folds_per_device = 0  # folds trained in parallel on a device; 0: as many as fit into its memory
    config.training.steps_per_call = 10  # updates per call of the compiled program and per log line
    config.training.checkpoint_every = 500  # updates between checkpoints
    config.training.evaluate_every = 0  # updates between evaluations during training; 0: only the last step
    config.training.on_nonfinite = "stop"  # at a loss or gradient that is not finite; or "skip_fold"
    config.training.collapse_after = 5  # passes over training pairs with one predicted class before a warning; 0: none

    config.evaluation = ConfigDict()
    config.evaluation.selection = "last"  # of the recognizer: the "last" step, or the best on "inner" validation
    config.evaluation.inner_share = 0.0  # share of a fold's training subjects held out for inner validation
    config.evaluation.oracle = False  # also score each fold's best test evaluation: not valid, reported separately
    return config
