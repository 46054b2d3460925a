"""Writes digits_data.hpp: the UCI optical digits that scikit-learn ships, one line of text a digit.

    python3 make_data.py > digits_data.hpp        (needs scikit-learn; made with 1.3.2)
"""
from sklearn.datasets import load_digits

digits = load_digits()
print('''#pragma once
/// Optical Recognition of Handwritten Digits, test part: 1,797 images of 8 x 8 pixels with values 0 to 16.
/// E. Alpaydin, C. Kaynak: UCI Machine Learning Repository, 1998, doi:10.24432/C50P49. Licence: CC BY 4.0.
/// Made by make_data.py. One digit a line: its label, then 64 pixels, 'A' for 0 to 'Q' for 16.

namespace digits_data {

inline constexpr char const* lines[] = {''')
for image, label in zip(digits.data.astype(int), digits.target):
    print('    "%d%s",' % (label, "".join(chr(ord("A") + v) for v in image)))
print('''};

}  // namespace digits_data''')
