"""The checker on trial: programs that measure how well `identities` checks, each with a make target.

mutants     edits every closed form through its syntax tree; the check must notice every edit
mutations   those edits
common      where results and pages go

Each trial writes what it measured to trials/results/ and a page to docs/.
"""
