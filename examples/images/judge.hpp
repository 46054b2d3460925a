#pragma once
/// How generated images are measured.
#include <onestep/evaluation/feature_moments.hpp>

#include "classifier.hpp"
#include "data.hpp"

namespace images {

/// Of some images against the training set, in the features of the classifier.
struct quality {
    double frechet;            ///< Frechet distance
    double precision, recall;  ///< shares: of these images that look real, of the real ones that are covered
    double accuracy;           ///< share that the classifier reads as the label asked for
};

/// The classifier, and what it makes of the training set.
class judge {
public:
    /// Reads the classifier from `file`, or trains it and writes it there. `compared`: images for precision and recall.
    judge(os::cpu& device, image_data const& data, std::string const& file, index_t compared);

    /// Images [n, h, w, c] with their labels [n].
    quality measure(samples const& x, labels const& wanted);
    quality of_held_out_images() { return measure(data_.held_out.x0(), data_.held_out.labels()); }

private:
    /// What the classifier makes of images, and the share that it reads as their labels.
    struct reading {
        samples features;  // [n, 128]
        double accuracy;
    };
    reading read(samples const& x, labels const& wanted);

    image_data const& data_;
    image_classifier<os::cpu> net_;
    samples real_;  // features of some training images
    os::moments moments_;
};

}  // namespace images
