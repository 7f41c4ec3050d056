"""Features that lighten another model's work.

MNIST. Codes of a convolutional autoencoder that never saw a label, standardised, go to a logistic regression. It learnt to
rebuild upright, whole digits from warped ones (turned, shifted, stretched, slanted by chance) with a share of the places black.
"100 labels": ten a digit, mean of five draws that are the same for all models and seeds. "60,000 labels": the code's hidden map
and all labels. "untrained": the same network with its first weights. Strengths of the regressions were chosen on training digits.
"""
