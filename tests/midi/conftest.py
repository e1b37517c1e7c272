from hypothesis import settings

# `make fuzz`: tests that ask `mutants.examples` run that many times longer.
settings.register_profile("fuzz", deadline=None, print_blob=True)
