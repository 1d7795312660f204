#!/usr/bin/env bash
# Everything on the page "What we found", from a folder with images/ (train/CLASS/*, test/CLASS/*) and checkpoints/.
set -euo pipefail
export OMP_NUM_THREADS=1

# --- given networks: half an hour of one core ----------------------------------------------------------------
stitchpipe run given.toml --out runs/given
stitches=(runs/given stitch_relative_accuracy resnet20 resnet20)
stitchpipe matrix "${stitches[@]}" --method tlm --init random --objective hard_labels --steps 100 --svg tlm.svg
stitchpipe matrix "${stitches[@]}" --method dm --svg dm.svg

# --- with networks of our own: an hour of two cores more -----------------------------------------------------
stitchpipe train networks.toml --out runs/networks
for seed in 0 1 2; do
    cp runs/networks/models/r20-cifar_resnet%40$seed/weights-*.safetensors checkpoints/r20-seed$seed.safetensors
done
for seed in 0 1; do
    cp runs/networks/models/small-vit_tiny_patch16_224%40$seed/weights-*.safetensors checkpoints/vit-seed$seed.safetensors
done
stitchpipe dump cifar10.toml --out runs/cifar10
stitchpipe compare runs/cifar10
stitchpipe matrix runs/cifar10 cka resnet20 resnet56 --svg cka.svg
stitchpipe matrix runs/cifar10 pwcca resnet20 resnet56 --svg pwcca.svg

# --- what they say, without the single cases -----------------------------------------------------------------
python - <<'P'
import json
import subprocess
from pathlib import Path

ASKED = {
    "given": ("self", "ood", "distance", "budget", "dm-or-not", "which-index", "depth"),
    "cifar10": ("correspondence", "distance", "controls", "which-index"),
}


def answer(study, run):
    asked = ["stitchpipe", "study", study, f"runs/{run}", "--format", "json"]
    document = json.loads(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)
    del document["run"]
    for finding in document["findings"]:
        del finding["cases"]
    return document


read = {run: {study: answer(study, run) for study in studies} for run, studies in ASKED.items()}
Path("findings.json").write_text(json.dumps(read, indent=1, ensure_ascii=False) + "\n")
P
