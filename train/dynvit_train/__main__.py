"""The command line: python -m dynvit_train fit | export | golden | answers | ablate | regress | shrink | definitions"""

import argparse
import sys
from pathlib import Path

from . import config
from .errors import UserError


def parser():
    top = argparse.ArgumentParser(prog="dynvit_train", description="Trains DynamicViT models for dynvitd.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    config.add_arguments(commands.add_parser("fit", help="train a model or its predictors"))
    add_export(commands.add_parser("export", help="write a model file for dynvitd"))
    add_golden(commands.add_parser("golden", help="write a model's activations for tests"))
    add_ablate(commands.add_parser("ablate", help="compare ways to prune on one model; other flags as fit has them"))
    add_answers(commands.add_parser("answers", help="write the class of every picture of a folder"))
    add_regress(commands.add_parser("regress", help="predictors for a frozen model, without labels"))
    add_shrink(commands.add_parser("shrink", help="make a smaller start from a larger model"))
    p = commands.add_parser("definitions", help="tables of what timm's definitions set, for dynvitd's import")
    p.add_argument("table", help="file to write (.csv)")
    p.add_argument("shapes", help="file to write (.json.gz)")
    return top


def add_ablate(p):
    config.add_arguments(p)
    p.add_argument("--seeds", default="0,1", help="[0,1]")
    p.add_argument("--arms", default="all", help="trained arms, with ; between them [all]")
    p.add_argument("--smaller", action="store_true", help="also train smaller networks of equal work")


def add_answers(p):
    p.add_argument("source", help="model file")
    p.add_argument("-o", "--output", required=True, help="file to write (.json)")
    p.add_argument("--data", required=True, help="folder of pictures")
    p.add_argument("--keep", default="1,0.7,0.5", help="ratios [1,0.7,0.5]")
    p.add_argument("--predictors", default="", help="a predictors file")
    p.add_argument("--scorer", default="", help="as dynvitd names it [the model's own]")


def add_regress(p):
    p.add_argument("source", help="model file")
    p.add_argument("-o", "--output", required=True, help="predictors file to write (.safetensors)")
    p.add_argument("--data", required=True, help="pictures; class folders are not looked at")
    p.add_argument("--views", type=int, default=4096, help="random views to learn from [4096]")
    p.add_argument("--epochs", type=int, default=20, help="passes over them [20]")
    p.add_argument("--lr", type=float, default=2e-3, help="learning rate [0.002]")
    p.add_argument("--mixed", type=float, default=0.5, help="share of batches with a rectangle of others [0.5]")
    p.add_argument("--predictors", default="", help="a file of those to go on from")
    p.add_argument("--in-turn", action="store_true", help="each stage on what the learnt ones before it leave")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--bf16", action="store_true", help="autocast to bfloat16")


def add_shrink(p):
    p.add_argument("source", help="model file")
    p.add_argument("-o", "--output", required=True, help="model file to write (.safetensors)")
    p.add_argument("--data", required=True, help="folder of class folders: the new head, and pictures to judge by")
    p.add_argument("--depth", type=int, required=True, help="blocks to leave")
    p.add_argument("--hidden", type=int, required=True, help="hidden units to leave in each MLP")
    p.add_argument("--teacher-classes", default="", help="file of lines `synset name`: the classes of the source")
    p.add_argument("--labels", default="", help="file of lines `synset name` that names the folders")
    p.add_argument("--images", type=int, default=128, help="pictures to judge by [128]")


def add_export(p):
    p.add_argument("source", help="folder of a run, checkpoint or model file")
    p.add_argument("-o", "--output", required=True, help="model file to write (.safetensors)")
    p.add_argument("--dtype", choices=["f32", "f16", "int8"], default="f32")
    p.add_argument("--raw", action="store_true", help="the last weights of a run instead of their average")
    p.add_argument("--only-predictors", action="store_true", help="a predictors file for --predictors")
    p.add_argument("--dense", action="store_true", help="leave the predictors out")
    p.add_argument("--predictors", default="", help="add those of another file")
    p.add_argument("--license", default="")
    p.add_argument("--training", default="", help="how the weights came to be (default: the run's recipe)")
    p.add_argument("--card", default="", help="model card to write (.md)")


def add_golden(p):
    p.add_argument("source", help="model file")
    p.add_argument("images", nargs="+")
    p.add_argument("-o", "--output", required=True)
    p.add_argument("--keep", default="0.7,0.5", help="ratios")
    p.add_argument("--brief", action="store_true", help="logits, kept sets and scores alone")
    p.add_argument("--enlarge", action="store_true", help="repeat the pixels of small square pictures")
    p.add_argument("--predictors", default=None)
    p.add_argument("--scorer", default="", help="as dynvitd names it [the model's own]")
    p.add_argument("--heads", type=int, default=0)


def run(args):
    if args.command == "fit":
        from .fit import fit

        fit(config.from_arguments(args))
    elif args.command == "export":
        from .export import export

        export(args.source, args.output, **rest(args))
    elif args.command == "ablate":
        from .ablating import ARMS, Plan, ablate

        arms = tuple(ARMS) if args.arms == "all" else tuple(a.strip() for a in args.arms.split(";") if a.strip())
        seeds = tuple(int(s) for s in args.seeds.split(","))
        ablate(Plan(config.from_arguments(args), Path(args.out), seeds, arms, args.smaller))
    elif args.command == "answers":
        from .evaluating import answers

        answers(args.source, args.output, **rest(args))
    elif args.command == "regress":
        from .regressing import regress

        regress(args.source, args.output, **rest(args))
    elif args.command == "shrink":
        from .shrinking import shrink

        shrink(args.source, args.output, **rest(args))
    elif args.command == "definitions":
        from .definitions import scan

        scan(args.table, args.shapes)
    elif args.command == "golden":
        from .export import golden

        ratios = [float(w) for w in args.keep.split(",")]
        flags = {k: v for k, v in rest(args).items() if k not in ("images", "keep")}
        golden(args.source, args.images, args.output, ratios, **flags)


def rest(args):
    """The flags of a command that takes SOURCE and --output, by name."""
    return {k: v for k, v in vars(args).items() if k not in ("command", "source", "output")}


def main():
    try:
        run(parser().parse_args())
    except UserError as e:
        print(f"dynvit_train: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("dynvit_train: interrupted; --resume goes on from the last finished epoch", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.exit(code)
