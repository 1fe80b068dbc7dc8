"""What a series will be, how far that may be off, and how the series move together.

    past of a series ─▶ defects ─▶ Past ─▶ Model.fit ─▶ Fitted.quantiles ─▶ calibrated ─▶ Forecast
                        (cleaning)         (one file a model)   (rolling back-test, conformal)   │
                                             choose: by score on the series' own past            ▼
                                                                          scenarios (copula of errors)

Every model stands behind the protocols of `base.py`. What needs heavy libraries imports them where
it uses them: importing this package costs numpy.
"""
