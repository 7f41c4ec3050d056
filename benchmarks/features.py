"""Features that lighten another model's work.

MNIST. Codes of models that never saw a label, standardised, go to a logistic regression. "100 labels": ten a digit, mean of five
draws (the same for all models and seeds); its strength was chosen on a part of the training digits. "60,000 labels": all of
them. "untrained": the same network with its first weights. Raw pixels and an RBF support vector machine (its published error)
stand beside it.
"""
