# What the rule files share. A rule is a name and the stream of what is wrong:
# one line "name TAB why", with an empty why when nothing is.
def rule(name; wrong): name + "\t" + ([wrong] | map(tostring) | join("; "));

# What is wrong when `ok` does not hold of the input.
def unless(ok; why): if ok then empty else why end;
