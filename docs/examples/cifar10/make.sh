#!/usr/bin/env bash
# Everything on the page "What we found", from a folder with images/ (train/CLASS/*, test/CLASS/*) and checkpoints/.
set -euo pipefail
export OMP_NUM_THREADS=1

stitchpipe train networks.toml --out runs/networks
for seed in 0 1 2; do
    cp runs/networks/models/r20-cifar_resnet%40$seed/weights-*.safetensors checkpoints/r20-seed$seed.safetensors
done
for seed in 0 1; do
    cp runs/networks/models/small-vit_tiny_patch16_224%40$seed/weights-*.safetensors checkpoints/vit-seed$seed.safetensors
done

stitchpipe dump cifar10.toml --out runs/cifar10
stitchpipe compare runs/cifar10
stitchpipe run self.toml --out runs/self
for study in correspondence distance controls which-index; do
    stitchpipe study $study runs/cifar10 --format json > $study.json
done
for study in self ood; do
    stitchpipe study $study runs/self --format json > $study.json
done
python - <<'P'
import json
from pathlib import Path

names = ("correspondence", "distance", "controls", "which-index", "self", "ood")
read = {name: json.loads(Path(f"{name}.json").read_text()) for name in names}
for document in read.values():
    document.pop("run")
    for finding in document["findings"]:
        finding.pop("cases")
Path("findings.json").write_text(json.dumps(read, indent=1, ensure_ascii=False))
P
stitchpipe matrix runs/cifar10 cka resnet20 resnet56 --svg cka.svg
stitchpipe matrix runs/cifar10 pwcca resnet20 resnet56 --svg pwcca.svg
