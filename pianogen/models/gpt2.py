"""GPT-2: learned positions, pre-norm decoder blocks, output weights shared with the embedding.

Source: Radford et al., "Language Models are Unsupervised Multitask Learners" (2019), as built by the
transformers library; the dropout on attention weights is left out, which lets attention run fused.
"""

from pathlib import Path

from transformers import GPT2Config, GPT2LMHeadModel
from transformers.utils import logging

from pianogen.models import ModelConfig
from pianogen.tokenizers.base import BOS_ID, EOS_ID


def make(config: ModelConfig, vocab_size: int) -> GPT2LMHeadModel:
    """A GPT-2 with random weights."""
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocab_size,
            n_positions=config.context_length,
            n_layer=config.n_layer,
            n_head=config.n_head,
            n_embd=config.n_embd,
            embd_pdrop=config.dropout,
            resid_pdrop=config.dropout,
            attn_pdrop=0.0,
            bos_token_id=BOS_ID,
            eos_token_id=EOS_ID,
            # Padding stands only after the end of a sequence, where causal attention never looks back at it.
            pad_token_id=None,
            use_cache=False,
        )
    )


def load(folder: Path) -> GPT2LMHeadModel:
    """The saved model in evaluation mode, fp32."""
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        return GPT2LMHeadModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
    finally:
        if bars:
            logging.enable_progress_bar()
