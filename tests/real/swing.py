"""Run by Isaac Lab's Python: let a task's robot hang and swing freely, and print what its normal modes do.

``swing.py TASK MODEL`` reads the masses and lengths that the model should have from MODEL (JSON), simulates the task's
own scene without any effort, and prints for each mode of the linear theory the rate that theory says and the rate
that the simulation shows, as (decay [1/s], angular frequency [rad/s]).
"""

from __future__ import annotations

import json
import math
import sys
from importlib import import_module
from typing import Any

np = import_module("numpy")
Model = dict[str, Any]

KICK = 0.03
"""Largest angle at the start [rad]: the pendulum's period is 0.006 % longer than that of an infinitely small swing."""


def simulate(task: str, seconds: float) -> tuple[float, Any]:
    """Return the time between samples [s] and the joints' positions and velocities from the hanging rest."""
    torch, gymnasium = import_module("torch"), import_module("gymnasium")
    config, _ = import_module("isaaclab_tasks.utils.hydra").resolve_task_config(
        task, None, overrides=["physics=newton_mjwarp"]
    )
    config.scene.num_envs, config.sim.device, config.seed = 1, "cpu", 0
    env = gymnasium.make(task, cfg=config).unwrapped
    (robot,) = env.scene.articulations.values()
    rest = torch.zeros((1, robot.num_joints))
    rest[0, 1] = math.pi
    kick = torch.tensor([[0.0, KICK, -KICK][: robot.num_joints]])
    robot.write_joint_position_to_sim_index(position=rest + kick)
    robot.write_joint_velocity_to_sim_index(velocity=torch.tensor([[0.2, 0.0, 0.0][: robot.num_joints]]))
    robot.set_joint_effort_target_index(target=torch.zeros_like(rest))
    samples = []
    for _ in range(round(seconds / env.physics_dt)):
        position, velocity = robot.data.joint_pos.torch - rest, robot.data.joint_vel.torch
        samples.append(torch.cat((position, velocity), dim=1)[0].tolist())
        env.scene.write_data_to_sim()
        env.sim.step(render=False)
        env.scene.update(env.physics_dt)
    return env.physics_dt, np.array(samples)


def linear_model(model: Model) -> Any:
    """Return A of x' = A x for a chain of rods hanging from a cart; x is joint positions, then velocities.

    With the joint coordinates q = (cart, angle of the first rod, angle of the second against the first, ...), rod i
    turns by r_i q (r_i: ones up to i) and its centre moves sideways by y_i q, so that
    M = m_cart e0 e0' + armature + sum(m_i y_i y_i' + I_i r_i r_i'), and the weight below each hinge pulls it back.
    """
    count = 1 + len(model["rods"])
    unit, mass, stiffness = np.eye(count), np.diag(model["armature"]).astype(float), np.zeros((count, count))
    mass[0, 0] += model["cart"]
    hinge = unit[0]
    above: list[tuple[float, Any]] = []
    for index, (weight, length, centre, inertia) in enumerate(model["rods"], 1):
        turn = (np.arange(count) >= 1) & (np.arange(count) <= index)
        sideways = hinge + centre * turn
        mass += weight * np.outer(sideways, sideways) + inertia * np.outer(turn, turn)
        for lever, angle in [*above, (centre, turn)]:
            stiffness += model["gravity"] * weight * lever * np.outer(angle, angle)
        above.append((length, turn))
        hinge = hinge + length * turn
    inverse = np.linalg.inv(mass)
    damping = np.diag(model["damping"])
    return np.block([[np.zeros((count, count)), np.eye(count)], [-inverse @ stiffness, -inverse @ damping]])


def rates(model: Model) -> tuple[Any, Any]:
    """Return the eigenvalues of the linear model that move, slowest first, and their left eigenvectors."""
    values, right = np.linalg.eig(linear_model(model))
    left = np.linalg.inv(right)
    chosen = [k for k in np.argsort(abs(values)) if abs(values[k]) > 1e-6 and values[k].imag > -1e-6]
    return values[chosen], left[chosen]


def measured(dt: float, samples: Any, value: complex, left: Any) -> complex:
    """Return the rate at which one mode of the simulation evolves: each mode is exp(rate t) by itself."""
    span = min(len(samples), round(1.5 / max(-value.real, 0.1) / dt))
    amplitude = samples[:span] @ left
    logarithm = np.log(abs(amplitude)) + 1j * np.unwrap(np.angle(amplitude))
    return complex(np.polyfit(np.arange(span) * dt, logarithm, 1)[0])


def main() -> None:
    """Simulate and print."""
    model = json.loads(sys.argv[2])
    dt, samples = simulate(sys.argv[1], seconds=10.0)
    pairs = [(value, measured(dt, samples, value, left)) for value, left in zip(*rates(model), strict=True)]
    print(json.dumps([[[rate.real, rate.imag] for rate in pair] for pair in pairs]))


if __name__ == "__main__":
    main()
