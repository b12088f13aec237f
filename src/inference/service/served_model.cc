#include "inference/service/served_model.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <random>
#include <span>
#include <utility>

#include "inference/tensor.h"

namespace aloft::inference::service {
namespace {

// More than run at a time, of one model, are not worth keeping.
constexpr std::size_t kMostSpare = 8;

using Shape = std::vector<std::vector<std::uint32_t>>;
// The outputs of one inference.
using Outputs = std::vector<std::vector<std::byte>>;

// Numbers that differ in all their bits, in a range that networks know.
void fill(std::vector<std::byte>& bytes, ElementType type, std::mt19937& random) {
  if (type == ElementType::f32) {
    std::uniform_real_distribution<float> values(0.0F, 1.0F);
    for (std::size_t at = 0; at + sizeof(float) <= bytes.size(); at += sizeof(float)) {
      const float value = values(random);
      std::memcpy(&bytes[at], &value, sizeof value);
    }
  } else if (type == ElementType::f64) {
    std::uniform_real_distribution<double> values(0.0, 1.0);
    for (std::size_t at = 0; at + sizeof(double) <= bytes.size(); at += sizeof(double)) {
      const double value = values(random);
      std::memcpy(&bytes[at], &value, sizeof value);
    }
  } else if (type == ElementType::u8) {
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  } else {
    // Halves of a small size, and integers that may be indices.
    for (std::size_t at = 0; at < bytes.size(); at += element_size(type))
      bytes[at] = static_cast<std::byte>(random() % 2);
  }
}

}  // namespace

// One shape, tried out with rows of random numbers.
struct ServedModel::Trial {
  Graph& graph;
  const Shape& shape;
  std::chrono::steady_clock::time_point until;
  std::stop_token stop;
  std::vector<std::vector<std::vector<std::byte>>> rows;  // of each row, its inputs

  void make_rows(std::uint32_t count) {
    std::mt19937 random(1);  // the same numbers each time: a verdict that can be looked into
    for (std::uint32_t i = 0; i < count; ++i) {
      auto& row = rows.emplace_back();
      for (std::size_t k = 0; k < shape.size(); ++k) {
        const ElementType type = graph.inputs()[k].type;
        row.emplace_back(static_cast<std::size_t>(byte_size(type, shape[k]).value_or(0)));
        fill(row.back(), type, random);
      }
    }
  }

  // The outputs for the rows from `first`, in one inference.
  Result<Outputs> run(std::uint32_t first, std::uint32_t count) {
    auto execution = graph.make_execution();
    if (!execution) return std::unexpected(execution.error());
    std::vector<std::vector<std::byte>> joined(shape.size());
    for (std::size_t k = 0; k < shape.size(); ++k) {
      auto dims = shape[k];
      dims[0] = count;
      for (std::uint32_t i = first; i < first + count; ++i)
        joined[k].insert(joined[k].end(), rows[i][k].begin(), rows[i][k].end());
      if (auto set = (*execution)
                         ->set_input(static_cast<std::uint32_t>(k),
                                     {graph.inputs()[k].type, dims, joined[k]});
          !set)
        return std::unexpected(set.error());
    }
    if (auto computed = compute_and_wait(**execution, until, stop); !computed)
      return std::unexpected(computed.error());
    Outputs outputs;
    for (std::uint32_t k = 0; k < graph.outputs().size(); ++k) {
      const auto output = (*execution)->output(k);
      if (!output) return std::unexpected(output.error());
      if (output->dims.empty() || output->dims[0] != count)
        return fail(Errc::refused, "its outputs are no rows");
      outputs.emplace_back(output->data.begin(), output->data.end());
    }
    return outputs;
  }
};

ServedModel::ServedModel(const Digest& digest, std::shared_ptr<Graph> graph, Batching batching,
                         std::uint32_t most_rows, Vouched vouched)
    : digest_(digest),
      graph_(std::move(graph)),
      batching_(batching),
      limit_(has_open_batch() && batching != Batching::off ? std::max(most_rows, 1U) : 1),
      vouched_(vouched),
      proven_(batching == Batching::any_bits ? limit_ : 1) {}

bool ServedModel::has_open_batch() const {
  const auto open = [](const TensorInfo& info) { return !info.dims.empty() && info.dims[0] == 0; };
  return !graph_->inputs().empty() && std::ranges::all_of(graph_->inputs(), open) &&
         std::ranges::all_of(graph_->outputs(), open);
}

std::uint32_t ServedModel::most_rows(const Shape& shape) const {
  const std::uint32_t proven = proven_;
  if (proven == 1 || batching_ == Batching::any_bits) return proven;
  const std::lock_guard lock(mutex_);
  return shape == tried_ ? proven : 1;
}

std::uint32_t ServedModel::usable(std::uint32_t rows) const {
  return batching_ == Batching::any_bits ? rows : std::bit_floor(rows);
}

bool ServedModel::wants_trial(const Shape& shape) {
  if (limit_ == 1 || batching_ != Batching::same_bits) return false;
  const auto one_row = [](const auto& dims) { return !dims.empty() && dims[0] == 1; };
  if (!std::ranges::all_of(shape, one_row)) return false;
  const std::lock_guard lock(mutex_);
  if (std::exchange(trial_begun_, true)) return false;
  tried_ = shape;
  return true;
}

std::string ServedModel::try_out(std::chrono::steady_clock::time_point until,
                                 std::stop_token stop) {
  const std::string name = "the model sha256:" + digest_.hex();
  Trial trial{*graph_, tried_, until, std::move(stop), {}};
  const std::uint32_t most = std::bit_floor(limit_);
  trial.make_rows(most);
  std::vector<Outputs> alone;
  for (std::uint32_t i = 0; i < most; ++i) {
    auto outputs = trial.run(i, 1);
    if (!outputs) return name + " is not batched: " + outputs.error().message;
    alone.push_back(*std::move(outputs));
  }
  std::uint32_t proven = 1;
  std::string why;
  for (std::uint32_t rows = 2; rows <= most && why.empty(); rows *= 2) {
    const auto together = trial.run(0, rows);
    if (!together) {
      why = together.error().message;
      break;
    }
    for (std::size_t k = 0; k < together->size() && why.empty(); ++k) {
      const std::size_t row = (*together)[k].size() / rows;
      for (std::uint32_t i = 0; i < rows; ++i) {
        const auto part = std::span((*together)[k]).subspan(i * row, row);
        if (!std::ranges::equal(part, alone[i][k])) why = "its results have other bits then";
      }
    }
    if (why.empty()) proven = rows;
  }
  proven_ = proven;
  if (proven == 1) return name + " is not batched: " + why;
  return name + " has the same bits in batches of up to " + std::to_string(proven) + " rows" +
         (why.empty() ? "" : " (more: " + why + ")");
}

void ServedModel::forbid() { proven_ = 1; }

Result<std::unique_ptr<Workplace>> ServedModel::take_workplace() {
  {
    const std::lock_guard lock(mutex_);
    if (!spare_.empty()) {
      auto workplace = std::move(spare_.back());
      spare_.pop_back();
      return workplace;
    }
  }
  auto execution = graph_->make_execution();
  if (!execution) return std::unexpected(execution.error());
  auto made = std::make_unique<Workplace>();
  made->execution = *std::move(execution);
  made->inputs.resize(graph_->inputs().size());
  return made;
}

void ServedModel::give_back(std::unique_ptr<Workplace> workplace) {
  const std::lock_guard lock(mutex_);
  if (spare_.size() < kMostSpare) spare_.push_back(std::move(workplace));
}

}  // namespace aloft::inference::service
