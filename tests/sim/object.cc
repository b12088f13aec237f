#include "object.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

namespace aloft::sim {
namespace {

constexpr std::size_t kTaskSize = 9;
constexpr std::size_t kReplySize = 20;

}  // namespace

std::uint64_t digest(std::span<const std::byte> bytes) {
  std::uint64_t hash = mix(bytes.size());
  while (!bytes.empty()) {
    std::uint64_t word = 0;
    const std::size_t size = std::min(bytes.size(), sizeof word);
    std::memcpy(&word, bytes.data(), size);
    hash = mix(hash ^ word);
    bytes = bytes.subspan(size);
  }
  return hash;
}

SharedBytes Task::encode(std::size_t padding) const {
  auto body = std::make_shared<Bytes>(kTaskSize + padding);
  std::memcpy(body->data(), &id, sizeof id);
  (*body)[8] = std::byte{traps};
  for (std::size_t i = 0; i < padding; ++i)
    (*body)[kTaskSize + i] = static_cast<std::byte>((id >> (i % 8)) + i);
  return body;
}

Task Task::decode(const Bytes& body) {
  Task task;
  if (body.size() < kTaskSize) return task;
  std::memcpy(&task.id, body.data(), sizeof task.id);
  task.traps = body[8] != std::byte{0};
  return task;
}

SharedBytes Reply::encode() const {
  auto body = std::make_shared<Bytes>(kReplySize);
  std::memcpy(body->data(), &task, 8);
  std::memcpy(body->data() + 8, &chain, 8);
  std::memcpy(body->data() + 16, &version, 4);
  return body;
}

Reply Reply::decode(const Bytes& body) {
  Reply reply;
  if (body.size() != kReplySize) return reply;
  std::memcpy(&reply.task, body.data(), 8);
  std::memcpy(&reply.chain, body.data() + 8, 8);
  std::memcpy(&reply.version, body.data() + 16, 4);
  return reply;
}

Object::Object(std::uint64_t seed) {
  resize(mix(seed));
  for (std::size_t i = 0; i < words_.size(); ++i) words_[i] = mix(seed + i);
}

Object::Object(const Bytes& bytes) : words_(bytes.size() / sizeof(std::uint64_t)) {
  std::memcpy(words_.data(), bytes.data(), words_.size() * sizeof(std::uint64_t));
}

// Two to six blocks, of which the last is seldom full.
void Object::resize(std::uint64_t drawn) {
  words_.resize(kBlockWords * (1 + drawn % 5) + 2 + (drawn >> 8U) % (kBlockWords - 1));
}

Reply Object::run(std::uint32_t method, const Bytes& body, std::uint32_t version) {
  const std::uint64_t task = digest(body);
  std::uint64_t chain = mix(words_[1] ^ words_.size());
  // The first word of a block is new whenever the block is written: no stale block goes unnoticed.
  for (std::size_t i = 0; i < words_.size(); i += kBlockWords) chain = mix(chain ^ words_[i]);
  chain = mix(chain ^ task ^ mix(version) ^ mix(std::uint64_t{method} << 32U));
  std::uint64_t drawn = mix(chain);
  if (drawn % 16 == 0) resize(mix(drawn));
  const std::size_t blocks = (words_.size() + kBlockWords - 1) / kBlockWords;
  const std::uint64_t writes = drawn % 8 == 1 ? 8 : 1 + drawn % 3;
  for (std::uint64_t i = 0; i < writes; ++i) {
    drawn = mix(drawn);
    const std::size_t block = drawn % blocks * kBlockWords;
    const std::size_t size = std::min(kBlockWords, words_.size() - block);
    words_[block] = drawn;
    words_[block + (drawn >> 16U) % size] = mix(drawn);
  }
  words_[1] = chain;
  return {.task = task, .chain = chain, .version = version};
}

Reply Object::run_stateless(std::uint32_t method, const Bytes& body, std::uint32_t version) {
  const std::uint64_t task = digest(body);
  return {.task = task, .chain = mix(task ^ mix(method)), .version = version};
}

Bytes Object::save() const {
  Bytes bytes(words_.size() * sizeof(std::uint64_t));
  std::memcpy(bytes.data(), words_.data(), bytes.size());
  return bytes;
}

std::uint64_t Object::fingerprint() const { return digest(std::as_bytes(std::span(words_))); }

}  // namespace aloft::sim
