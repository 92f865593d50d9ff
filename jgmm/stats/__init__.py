"""Standard errors, intervals and exponents of Monte-Carlo studies: NumPy, and nothing of jgmm."""
