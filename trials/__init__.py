"""The checker on trial: programs that measure how well `identities` checks, each with a make target.

mutants     edits every closed form through its syntax tree; the check must notice every edit
mutations   those edits
soak        runs every claim over many seeds; none may alarm
peers       hands wrong gradients and right ones to our check and to those of jax, torch and scipy
corpus      those gradients
accuracy    holds closed forms and autodiff against 50 digits, at condition numbers up to 1e12
scale       times the check of every claim at dims up to 2048
digits      an interpreter of JAX's programs in 50 digits
common      where results and pages go

Each trial writes what it measured to trials/results/ and a page to docs/.
"""
