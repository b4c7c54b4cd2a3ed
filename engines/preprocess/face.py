"""Face crops: how a face is cut from a picture, and what a face network is given."""

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from engines.window import FACE_PX, FaceWindow

VERSION: Final = "face-1"

TEMPLATE_PX: Final = np.array(
    [[15.3, 18.7], [32.7, 18.7], [24.0, 28.8], [16.7, 36.2], [31.3, 36.2]], dtype=np.float32
)
"""(5, 2) x, y of eyes, nose tip and mouth corners in a crop, image left to right.

The medians that YuNet finds on FER+'s validation faces, made symmetric.
"""


def align(grey: npt.NDArray[np.uint8], landmarks: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Cut the face with these landmarks (5, 2) px out of ``grey`` (H, W), upright: (48, 48)."""
    turn = _similarity(landmarks.astype(np.float64))
    part, turn = _around(grey, turn)
    scale = float(np.hypot(turn[0, 0], turn[1, 0]))
    if scale < 0.5:  # shrink by area first: a bilinear warp alone would alias
        height, width = (max(1, round(2 * scale * side)) for side in part.shape)
        turn = turn @ np.diag([part.shape[1] / width, part.shape[0] / height, 1.0])
        part = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
    crop = cv2.warpAffine(
        part, turn, (FACE_PX, FACE_PX), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return crop.astype(np.uint8)


def turn(landmarks: npt.NDArray[np.float32]) -> float:
    """Return how far a head with these landmarks (5, 2) px is turned to its side.

    0 with the nose midway between the eyes, -1 and 1 with it before one of them.
    """
    left, right, nose = landmarks[:3].astype(np.float64)
    across = right - left
    return float(2 * ((nose - left) @ across) / max(float(across @ across), 1e-9) - 1)


def mouth(landmarks: npt.NDArray[np.float32]) -> float:
    """Return how wide the mouth of a face with these landmarks (5, 2) px is, in eye distances."""
    left_eye, right_eye, _, left, right = landmarks.astype(np.float64)
    return float(np.hypot(*(right - left)) / max(np.hypot(*(right_eye - left_eye)), 1e-9))


def turned_away(landmarks: npt.NDArray[np.float32]) -> bool:
    """Tell whether a face with these landmarks (5, 2) px shows its side or its back.

    Then the nose does not lie between the eyes, and there is no expression to judge. The
    margin is ours: in talking-head clips the turn stays within -0.66 to 0.88, on heads turned
    from the camera it lies beyond 1.6 to either side.
    """
    return not abs(turn(landmarks)) <= 1.4


def crop(
    grey: npt.NDArray[np.uint8], x: int, y: int, width: int, height: int
) -> npt.NDArray[np.uint8]:
    """Cut the box out of ``grey`` (H, W) and resize it to (48, 48), as FER2013 was cut."""
    inside = grey[max(y, 0) : y + height, max(x, 0) : x + width]
    return resize(inside)


def resize(face: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Resize a face that is already cut (H, W) to (48, 48)."""
    if face.shape == (FACE_PX, FACE_PX):
        return face
    shrinks = face.shape[0] > FACE_PX
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(face, (FACE_PX, FACE_PX), interpolation=how).astype(np.uint8)


def tensor(window: FaceWindow) -> npt.NDArray[np.float32]:
    """Return (n, 1, 48, 48): each crop with mean 0 and deviation 1, so that light cancels."""
    crops = window.crops.astype(np.float32)
    mean = crops.mean(axis=(1, 2), keepdims=True)
    deviation = crops.std(axis=(1, 2), keepdims=True)
    even: npt.NDArray[np.float32] = (crops - mean) / np.maximum(deviation, 4.0)
    return even[:, None]


def _similarity(landmarks: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the turn, scale and shift (2, 3) that fit landmarks to template best.

    Least squares over all five (Umeyama 1991), in complex numbers: z' = a·z + b.
    """
    z = landmarks @ [1, 1j]
    target = TEMPLATE_PX.astype(np.float64) @ [1, 1j]
    around, goal = z - z.mean(), target - target.mean()
    spread = float((around.conj() @ around).real)
    a = (around.conj() @ goal) / spread if spread > 1e-6 else 1.0 + 0.0j
    b = target.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def _around(
    grey: npt.NDArray[np.uint8], turn: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """Return the part of the picture that a crop shows, and the turn from there."""
    back = cv2.invertAffineTransform(turn)
    corners = np.array([[0, 0, 1], [FACE_PX, 0, 1], [0, FACE_PX, 1], [FACE_PX, FACE_PX, 1]])
    height, width = grey.shape
    low = np.floor((corners @ back.T).min(axis=0)).astype(int) - 2
    high = np.ceil((corners @ back.T).max(axis=0)).astype(int) + 2
    left, top = np.clip(low, 0, [width - 1, height - 1])
    right, bottom = np.maximum(np.clip(high, 0, [width, height]), [left + 1, top + 1])
    shifted = turn.copy()
    shifted[:, 2] += turn[:, :2] @ [left, top]
    return grey[top:bottom, left:right], shifted
