# What the programs of examples/embedding train on, and that they do what they say: sourced, with `source`,
# Attune's tree, and `attune`, the command.
fail() { echo "${0##*/}: $*"; exit 1; }
quietly() { "$@" >log 2>&1 </dev/null || { cat log; fail "failed: $*"; }; }

# policy.att and table.csv, in this folder.
make_inputs() {
  "$attune" compile "$source/examples/cartpole/policy.onnx" -o policy.att --scheme full --loss cross_entropy --quiet
  awk 'BEGIN { srand(1); print "a,b,c,d,label"
    for (i = 0; i < 100; ++i) { a = 2 * rand() - 1; b = rand(); c = rand(); d = rand()
      printf "%f,%f,%f,%f,%d\n", a, b, c, d, (a > 0) } }' >table.csv
}

# runs FOLDER: own_data and files, which are in it.
runs() {
  "$1/own_data" policy.att own.atc >out
  grep -qE '^accuracy [0-9.]+ % before, (9[0-9]|100)[0-9.]* % after 750 steps' out || { cat out; fail "$1/own_data"; }
  "$attune" inspect policy.att >/dev/null
  [ -s own.atc ] || fail "$1/own_data: no checkpoint"
  rm own.atc
  "$1/files" policy.att table.csv >out
  grep -qE '^epoch 20: loss [0-9.]+, accuracy (9[0-9]|100)' out || { cat out; fail "$1/files"; }
  ! "$1/files" policy.att /dev/null >out 2>&1 || fail "$1/files learned from nothing"
}
