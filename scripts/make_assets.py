"""Write the embedded USD models: cartpole, cart double pendulum and ground plane.

Run ``scripts/make_assets.py`` to rewrite them below ``src/spark_rl/data/assets``, or with ``--check`` to learn
whether they are up to date. The output depends on nothing but this file. ``src/spark_rl/data/assets/README.md``
says what the numbers mean and why they were chosen.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

ASSETS = Path(__file__).resolve().parents[1] / "src" / "spark_rl" / "data" / "assets"

CART_LIMIT = 4.0
"""Travel of the cart to either side [m]; the tasks end an episode at 3 m."""

ROD_RADIUS = 0.04
"""Radius of a rod [m]."""

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A solid box with its frame in its centre: ``mass`` [kg], ``size`` [m]."""

    name: str
    mass: float
    size: Vector
    color: Vector
    tip: float = 0.0
    centre: float = 0.0

    @property
    def inertia(self) -> Vector:
        """Principal moments about the centre of mass [kg m^2]."""
        x, y, z = (s * s for s in self.size)
        return (self.mass * (y + z) / 12, self.mass * (x + z) / 12, self.mass * (x + y) / 12)

    def shape(self) -> str:
        """Return the prim that draws it."""
        return prim(
            'Cube "shape"',
            "double size = 1",
            f"color3f[] primvars:displayColor = [{text(*self.color)}]",
            f"float3 xformOp:scale = {text(*self.size)}",
            'uniform token[] xformOpOrder = ["xformOp:scale"]',
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rod:
    """A solid cylinder standing on its joint, where its frame is: ``mass`` [kg], ``length`` [m]."""

    name: str
    mass: float
    length: float
    color: Vector

    @property
    def tip(self) -> float:
        """Height of the far end, where the next rod is hinged [m]."""
        return self.length

    @property
    def centre(self) -> float:
        """Height of the centre of mass [m]."""
        return self.length / 2

    @property
    def inertia(self) -> Vector:
        """Principal moments about the centre of mass [kg m^2]."""
        across = self.mass * (3 * ROD_RADIUS**2 + self.length**2) / 12
        return (across, across, self.mass * ROD_RADIUS**2 / 2)

    def shape(self) -> str:
        """Return the prim that draws it."""
        return prim(
            'Cylinder "shape"',
            'uniform token axis = "Z"',
            f"double height = {text(self.length)}",
            f"double radius = {text(ROD_RADIUS)}",
            f"color3f[] primvars:displayColor = [{text(*self.color)}]",
            f"double3 xformOp:translate = {text(0, 0, self.centre)}",
            'uniform token[] xformOpOrder = ["xformOp:translate"]',
        )


RAIL = Box(name="slider", mass=1.0, size=(0.06, 2 * CART_LIMIT + 0.4, 0.06), color=(0.35, 0.35, 0.38))
CART = Box(name="cart", mass=4.0, size=(0.2, 0.4, 0.1), color=(0.1, 0.35, 0.7))
POLE = Rod(name="pole", mass=0.5, length=1.0, color=(0.85, 0.45, 0.1))
UPPER = Rod(name="pole", mass=0.5, length=0.8, color=(0.85, 0.45, 0.1))
LOWER = Rod(name="pendulum", mass=0.5, length=0.8, color=(0.75, 0.1, 0.15))


def text(*numbers: float) -> str:
    """Return a number, or a tuple of them, as USD text."""
    words = [f"{number:.9g}" for number in numbers]
    return words[0] if len(words) == 1 else f"({', '.join(words)})"


def prim(head: str, *lines: str, schemas: tuple[str, ...] = ()) -> str:
    """Return ``def HEAD { LINES }``; the lines are attributes or whole prims."""
    names = ", ".join(f'"{name}"' for name in schemas)
    applied = f" (\n    prepend apiSchemas = [{names}]\n)" if schemas else ""
    return f"def {head}{applied}\n{{\n{indent(chr(10).join(lines), '    ')}\n}}"


def stage(name: str, *prims: str) -> str:
    """Return a whole file: metres, kilograms, Z up."""
    head = (
        f'#usda 1.0\n(\n    defaultPrim = "{name}"\n'
        '    doc = "Part of spark-rl, written by scripts/make_assets.py. Not NVIDIA\'s model."\n'
        '    kilogramsPerUnit = 1\n    metersPerUnit = 1\n    upAxis = "Z"\n)\n\n'
    )
    return head + "\n\n".join(prims) + "\n"


def body(part: Box | Rod, height: float) -> str:
    """Return a rigid body whose frame is ``height`` above the model's origin [m]."""
    return prim(
        f'Xform "{part.name}"',
        f"float physics:mass = {text(part.mass)}",
        f"point3f physics:centerOfMass = {text(0, 0, part.centre)}",
        f"float3 physics:diagonalInertia = {text(*part.inertia)}",
        "quatf physics:principalAxes = (1, 0, 0, 0)",
        f"double3 xformOp:translate = {text(0, 0, height)}",
        'uniform token[] xformOpOrder = ["xformOp:translate"]',
        part.shape(),
        schemas=("PhysicsRigidBodyAPI", "PhysicsMassAPI"),
    )


def joint(kind: str, name: str, ends: tuple[str | None, str], *lines: str, height: float = 0.0, drive: str = "") -> str:
    """Return a joint ``height`` above the frame of the first of its ``ends`` [m]; None is the world."""
    drives = [f"float drive:{drive}:physics:{gain} = 0" for gain in ("damping", "stiffness")] if drive else []
    return prim(
        f'Physics{kind}Joint "{name}"',
        *(f"rel physics:body{i} = <{end}>" for i, end in enumerate(ends) if end),
        f"point3f physics:localPos0 = {text(0, 0, height)}",
        "point3f physics:localPos1 = (0, 0, 0)",
        "quatf physics:localRot0 = (1, 0, 0, 0)",
        "quatf physics:localRot1 = (1, 0, 0, 0)",
        *lines,
        *drives,
        schemas=(f"PhysicsDriveAPI:{drive}",) if drive else (),
    )


def mechanism(name: str, *rods: Rod) -> str:
    """Return a cart on a rail that carries ``rods``, each hinged to the far end of the one before.

    The cart slides along Y and the rods turn about X: a camera that looks along X sees all of it. At joint position
    0 everything stands upright above the middle of the rail, which is the model's origin.
    """
    ends = (f"/{name}/{RAIL.name}", f"/{name}/{CART.name}")
    limits = (f"float physics:lowerLimit = {text(-CART_LIMIT)}", f"float physics:upperLimit = {text(CART_LIMIT)}")
    axis = 'uniform token physics:axis = "{}"'.format
    bodies = [body(RAIL, 0.0), body(CART, 0.0)]
    joints = [
        joint("Fixed", "world_to_slider", (None, ends[0])),
        joint("Prismatic", "slider_to_cart", ends, axis("Y"), *limits, drive="linear"),
    ]
    parent: Box | Rod = CART
    height = 0.0
    for rod in rods:
        height += parent.tip
        ends = (f"/{name}/{parent.name}", f"/{name}/{rod.name}")
        bodies.append(body(rod, height))
        joints.append(
            joint("Revolute", f"{parent.name}_to_{rod.name}", ends, axis("X"), height=parent.tip, drive="angular")
        )
        parent = rod
    return stage(name, prim(f'Xform "{name}"', *bodies, *joints, schemas=("PhysicsArticulationRootAPI",)))


def ground_plane() -> str:
    """Return a grey square of 100 m with an endless collision plane, under the names Isaac Lab's spawner sets.

    The spawner writes ``Environment.xformOp:scale``, ``Environment/Geometry.primvars:st`` and
    ``Looks/theGrid/Shader.inputs:diffuse_tint``, and binds the physics material to the first ``Plane``.
    """
    square = prim(
        'Mesh "Geometry"',
        "uniform bool doubleSided = 1",
        "int[] faceVertexCounts = [4]",
        "int[] faceVertexIndices = [0, 1, 2, 3]",
        "normal3f[] normals = [(0, 0, 1), (0, 0, 1), (0, 0, 1), (0, 0, 1)]",
        "point3f[] points = [(-50, -50, 0), (50, -50, 0), (50, 50, 0), (-50, 50, 0)]",
        "color3f[] primvars:displayColor = [(0.5, 0.5, 0.5)]",
        'texCoord2f[] primvars:st = [(-25, -25), (25, -25), (25, 25), (-25, 25)] (\n    interpolation = "vertex"\n)',
        'uniform token subdivisionScheme = "none"',
        "rel material:binding = </World/Looks/theGrid>",
        schemas=("MaterialBindingAPI",),
    )
    shader = prim(
        'Shader "Shader"',
        'uniform token info:id = "UsdPreviewSurface"',
        "color3f inputs:diffuseColor = (0.5, 0.5, 0.5)",
        "float inputs:roughness = 1",
        "token outputs:surface",
    )
    surface = "token outputs:surface.connect = </World/Looks/theGrid/Shader.outputs:surface>"
    scale = ("float3 xformOp:scale = (1, 1, 1)", 'uniform token[] xformOpOrder = ["xformOp:scale"]')
    lines = ('uniform token axis = "Z"', 'token visibility = "invisible"')
    plane = prim('Plane "CollisionPlane"', *lines, schemas=("PhysicsCollisionAPI",))
    return stage(
        "World",
        prim(
            'Xform "World"',
            prim('Xform "Environment"', *scale, square),
            prim('Xform "GroundPlane"', plane),
            prim('Scope "Looks"', prim('Material "theGrid"', surface, shader)),
        ),
    )


def files() -> dict[str, str]:
    """Return what the embedded set consists of: path below the asset root, text."""
    cartpole, pendulum = mechanism("cartpole", POLE), mechanism("cart_double_pendulum", UPPER, LOWER)
    return {
        "Isaac/IsaacLab/Robots/Classic/Cartpole/cartpole.usd": cartpole,
        "Isaac/IsaacLab/Robots/Classic/CartDoublePendulum/cart_double_pendulum.usd": pendulum,
        "Isaac/IsaacLab/Environments/Grid/default_ground_plane_checker_v1/default_ground_plane.usda": ground_plane(),
    }


def main() -> int:
    """Write the files, or compare them with ``--check``; return 1 when one is out of date."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, end 1 when a file is out of date")
    check = parser.parse_args().check
    stale = {path: content for path, content in files().items() if not current(ASSETS / path, content)}
    for path, content in stale.items():
        print(f"{'out of date' if check else 'wrote'}: {path}")
        if not check:
            (ASSETS / path).parent.mkdir(parents=True, exist_ok=True)
            (ASSETS / path).write_text(content, encoding="utf-8")
    return int(check and bool(stale))


def current(path: Path, content: str) -> bool:
    """Return whether a file holds exactly this text."""
    return path.is_file() and path.read_text(encoding="utf-8") == content


if __name__ == "__main__":
    sys.exit(main())
