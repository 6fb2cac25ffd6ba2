# shellcheck shell=bash
# Where jobs run. A launcher is called as Kaldi's are: $cmd JOB=1:$nj log/x.JOB.log command ...
# Put your own in its place (run.pl, queue.pl, slurm.pl); options of theirs may stand behind the name.

export cpu_cmd="$FAS_PYTHON $FAS_ROOT/utils/run.py"    # data, text, training and scoring
export gpu_cmd="$FAS_PYTHON $FAS_ROOT/utils/run.py"    # encoders
