"""Mathematics in plain text, as HTML has it, and nothing else of the text changed."""

import pytest

from jgmm.report.maths import maths


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("k^3", "k<sup>3</sup>"),
        ("N^-0.908, N^a", "N<sup>&minus;0.908</sup>, N<sup>a</sup>"),
        ("(k ln k)^(1/4)", "(k ln k)<sup>1/4</sup>"),
        ("k^0.99 [0.97, 1.01].", "k<sup>0.99</sup> [0.97, 1.01]."),
        ("d*sigma**2*log(n)/n", "d&middot;&sigma;<sup>2</sup>&middot;log(n)/n"),
        ("rate*(d-3)/(n*k)**0.5", "rate&middot;(d-3)/(n&middot;k)<sup>0.5</sup>"),
        ("(w_max-w_min)**2", "(w<sub>max</sub>-w<sub>min</sub>)<sup>2</sup>"),
        ("measured sigma^2.", "measured &sigma;<sup>2</sup>."),
        ("exp(-C^2/8)(C^2 + k)", "exp(&minus;C<sup>2</sup>/8)(C<sup>2</sup> + k)"),
        ("sum |mu_i - mu_i*|^2", "&Sigma; |&mu;<sub>i</sub> &minus; &mu;<sub>i</sub>*|<sup>2</sup>"),
        (
            "sum_i w_i N(mu_i, sigma_i^2 I_d)",
            "&Sigma;<sub>i</sub> w<sub>i</sub> N(&mu;<sub>i</sub>, &sigma;<sub>i</sub><sup>2</sup> I<sub>d</sub>)",
        ),
        ("a & b, it's", "a &amp; b, it&#39;s"),
        ("max |mu_i^0 - m|", "max |&mu;<sub>i</sub><sup>0</sup> &minus; m|"),
        ("N0 >= 3, k0 <= 4, mu <- x", "N<sub>0</sub> &ge; 3, k<sub>0</sub> &le; 4, &mu; &larr; x"),
        ("sqrt(R)", "&radic;(R)"),
        ("trimmed sigmas of my_module, reach = 1", "trimmed sigmas of my_module, reach = 1"),
        ("mu-split and beta-test", "mu-split and beta-test"),
    ],
)
def test_powers_subscripts_and_letters_are_typeset(text, expected):
    assert maths(text) == expected


def test_what_is_no_mathematics_is_escaped():
    assert maths("<b>&'k^<i>") == "&lt;b&gt;&amp;&#39;k^&lt;i&gt;"
    assert maths("k^(<i>)") == "k<sup>&lt;i&gt;</sup>"
