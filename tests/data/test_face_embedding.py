import cv2
import numpy as np
from skimage import data

from icegan_jax.data import face_embedding
from icegan_jax.data.face_embedding import embed_face


def test_a_face_is_nearer_to_itself_in_other_light_than_to_others():
    face = cv2.cvtColor(data.astronaut()[60:180, 165:285], cv2.COLOR_RGB2GRAY)
    darker = (face * 0.8).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, face.shape).astype(np.uint8)
    vectors = np.stack([embed_face(image) for image in (face, darker, noise)])
    assert vectors.shape == (3, 128) and vectors.dtype == np.float64
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert vectors[0] @ vectors[1] > 0.97 > 0.95 > vectors[0] @ vectors[2]


def test_the_onset_is_embedded_once(monkeypatch):
    embedded = []
    monkeypatch.setattr(face_embedding, "embed_face", lambda image: embedded.append(image) or np.full(128, image[0, 0]))
    onset, *others = np.random.default_rng(0).integers(0, 256, (4, 16, 16)).astype(np.uint8)
    shows_onset = face_embedding.same_face_as(onset)
    assert not any(map(shows_onset, others)) and shows_onset(onset)
    assert len(embedded) == 4 and sum(image is onset for image in embedded) == 1
