"""How the weights change: HF Trainer with our own loss, updates and checkpoints; see `trainer` for what it promises."""

import contextlib
import shutil
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from transformers import Trainer
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from pianogen.models.devices import Device
from pianogen.models.noise import Noise
from pianogen.models.scoring import TokenModel
from pianogen.training import checkpoints
from pianogen.training.experiment import TrainingConfig
from pianogen.training.loading import Update
from pianogen.training.optimizers import MuonAndAdamW
from pianogen.training.pace import CHECKPOINT
from pianogen.training.recorder import Recorder
from pianogen.training.room import Room


class _SummedNats(torch.nn.Module):
    """What training asks of a model, as one module, so that all of it is compiled and its gradients are shared."""

    def __init__(self, model: torch.nn.Module, device: Device) -> None:
        super().__init__()
        self.model, self.device = model, device

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Sum of nats of the labels."""
        with self.device.autocast():
            return self.model(input_ids=input_ids, labels=labels).nats.sum()


class Loop(Trainer):
    """HF Trainer with the loss that the module's header states, and checkpoints that appear whole.

    Args:
        folder: the run's folder.
        recorder: told what happens.
        lineage: what every checkpoint says of itself.
        settings: of the training.
        device: where the model runs.
        room: for checkpoints; any without it.
        options: of HF Trainer.
    """

    def __init__(
        self,
        folder: Path,
        recorder: Recorder,
        lineage: dict[str, Any],
        settings: TrainingConfig,
        device: Device,
        room: Room | None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.reserve = room.reserved if room else contextlib.nullcontext
        self.folder = folder
        self.recorder = recorder
        self.ranks = recorder.ranks
        self.lineage = lineage
        self.settings = settings
        self.device = device
        self.noise = Noise(cast("torch.nn.Module", self.model))

    def create_optimizer(self, model=None) -> torch.optim.Optimizer:
        """The one that the settings name."""
        if self.settings.optimizer == "muon" and self.optimizer is None:
            settings, of_model = self.settings, cast("TokenModel", model or self.model)
            self.optimizer = MuonAndAdamW(
                of_model,
                set(self.get_decay_parameter_names(of_model)),
                vocab_size=of_model.vocab_size,
                learning_rate=settings.learning_rate,
                weight_decay=settings.weight_decay,
                betas=(self.args.adam_beta1, settings.adam_beta2),
                eps=self.args.adam_epsilon,
            )
        return super().create_optimizer(model)

    def get_train_dataloader(self) -> torch.utils.data.DataLoader:
        """Updates one by one; for a GPU they are made by a process of its own, ahead, and copied while it computes."""
        is_cpu = self.device.is_cpu  # What differs on GPUs is tested on the CPU: updates from a process of its own.
        return torch.utils.data.DataLoader(
            self.train_dataset,  # pyright: ignore[reportArgumentType]
            batch_size=None,
            num_workers=0 if is_cpu else 1,
            pin_memory=not is_cpu,
        )

    def get_batch_samples(self, epoch_iterator, num_batches, device):
        """The next update, whose time is the loader's; `training_step` counts its targets."""
        with self.recorder.loading():
            return [next(epoch_iterator)], None

    def _wrap_model(self, model, training=True, dataloader=None):
        """In place of accelerate, whose autocast would stay on the model when it is validated."""
        if model is not self.model:
            return model
        wrapped: Any = _SummedNats(model, self.device)
        if self.ranks.size > 1:
            places = None if self.device.is_cpu else [self.device.torch_device]  # GPUs only
            wrapped = torch.nn.parallel.DistributedDataParallel(wrapped, device_ids=places)
        return torch.compile(wrapped) if self.settings.compile else wrapped

    def training_step(self, model, inputs: Update, num_items_in_batch=None):
        """All forward and backward passes of an update; its loss, over all ranks."""
        device, settings = self.device.torch_device, self.settings
        # So no random state has to be saved, for however many ranks: dropout is all that draws.
        drawn = np.random.SeedSequence([settings.seed, self.state.global_step, self.ranks.index])
        torch.manual_seed(int(drawn.generate_state(1, np.uint64)[0] >> 1))
        if not model.training:
            model.train()
        if settings.dropout_end < 1:
            self.noise.scale(1 - (1 - settings.dropout_end) * self.state.global_step / settings.steps)
        num_targets = self.ranks.sum(torch.tensor(inputs.num_targets, dtype=torch.float32, device=device))
        total = torch.zeros((), device=device)
        for i, batch in enumerate(inputs.batches):
            is_last = i + 1 == len(inputs.batches)
            with contextlib.nullcontext() if is_last else self.accelerator.no_sync(model):
                nats = model(**{name: ids.to(device, non_blocking=True) for name, ids in batch.items()})
                # Gradients are averaged over the ranks.
                self.accelerator.backward(nats * (self.ranks.size / num_targets))
            total += nats.detach()
        self.recorder.count(total, inputs.num_targets)
        self.recorder.progress.num_examples = inputs.end
        return total / num_targets

    def floating_point_ops(self, inputs) -> int:
        """Not counted: nothing reads it."""
        return 0

    def store_flos(self) -> None:
        """Nothing to store, nor to ask other ranks for."""

    def _save_rng_state(self, output_dir: str) -> None:
        """None: see `training_step`."""

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """None: see `training_step`."""

    def _get_grad_norm(self, model, grad_norm=None):
        """As HF finds it, for the metrics."""
        self.recorder.gradient_norm = super()._get_grad_norm(model, grad_norm)
        return self.recorder.gradient_norm

    def _save_checkpoint(self, model, trial) -> None:
        """As HF saves it, but into a folder that becomes the checkpoint when it is whole."""
        self.recorder.before_checkpoint()
        if not self.ranks.is_first:
            return
        with (
            self.recorder.paused(CHECKPOINT),
            checkpoints.new_checkpoint(self.folder, self.recorder.progress, self.lineage, self.reserve) as folder,
        ):
            self.args.output_dir = str(folder)
            try:
                super()._save_checkpoint(model, trial)
            finally:
                self.args.output_dir = str(self.folder)
            written = folder / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
            for path in written.iterdir():
                path.rename(folder / path.name)
            written.rmdir()
            if isinstance(self.model, TokenModel):
                self.model.save_config(folder)
            self._save_average(folder)
            checkpoints.stamp_weights(folder / checkpoints.WEIGHTS_FILE, self.lineage)
            # A pickle that nothing reads; the run's identity holds its settings.
            (folder / "training_args.bin").unlink()

    def _save_average(self, folder: Path) -> None:
        """The averaged weights, written as the weights are."""
        if not self.recorder.average:
            return
        written = folder / "average"
        with self.recorder.averaged():
            self.save_model(str(written), _internal_call=True)
        (written / checkpoints.WEIGHTS_FILE).rename(folder / checkpoints.AVERAGE_FILE)
        shutil.rmtree(written)
        checkpoints.stamp_weights(folder / checkpoints.AVERAGE_FILE, self.lineage)
