#include "agents/probe/mail.h"

#include <algorithm>
#include <cstring>

namespace evenkeel::probe {
namespace {

static_assert(sizeof(ek_copy) == sizeof(std::uint64_t), "a copy is a word");

/// Where the parts of a mail stand in it.
struct Parts {
  explicit Parts(const Geometry& g)
      : slots_of_gpu(kMailFrom),
        map(slots_of_gpu + Layout::words_of(wire::kGpusMax, sizeof(std::uint32_t))),
        copies(map + Layout::words_of(g.map_cells(), sizeof(std::uint16_t))) {}
  std::size_t slots_of_gpu;
  std::size_t map;
  std::size_t copies;
};

}  // namespace

Inbox::Inbox(Header& header, const Geometry& geometry, std::uint64_t* mail)
    : header_(&header),
      geometry_(geometry),
      banks_(header.mail, mail, Layout(geometry).mail_words),
      words_(Layout(geometry).mail_words),
      leading_(kMailFrom) {}

int Inbox::poll(ek_epoch& out) {
  const std::uint64_t published = banks_.published();
  if (published == read_ || !banks_.read(words_)) return EK_POLL_NOTHING;
  read_ = published;
  const EpochWord offered = words_[kOffered];
  if (offered == polled_ && (offered == 0 || words_[kDigest] == polled_digest_)) return EK_POLL_NOTHING;
  polled_ = offered;
  polled_digest_ = words_[kDigest];
  if (offered == 0) return EK_POLL_WITHDRAWN;
  fill(out);
  return EK_POLL_PREPARE;
}

void Inbox::fill(ek_epoch& out) const {
  const Parts parts(geometry_);
  out.epoch = to_epoch(words_[kOffered]);
  out.base_epoch = to_epoch(words_[kBase]);
  out.digest = words_[kDigest];
  // An agent of ours writes no more than there is room for; another's mistake must not make the worker read beyond it.
  out.gpus = static_cast<std::uint32_t>(std::min<std::uint64_t>(words_[kGpus], wire::kGpusMax));
  out.slots = static_cast<std::uint32_t>(std::min<std::uint64_t>(words_[kSlots], geometry_.slots_max));
  out.slots_of_gpu = reinterpret_cast<const std::uint32_t*>(words_.data() + parts.slots_of_gpu);
  out.map = reinterpret_cast<const std::uint16_t*>(words_.data() + parts.map);
  out.copies = reinterpret_cast<const ek_copy*>(words_.data() + parts.copies);
  out.copy_count = std::min<std::uint64_t>(words_[kCopies], geometry_.map_cells());
  out.chain_left = static_cast<std::uint32_t>(words_[kChainLeft]);
}

void Inbox::ready(std::int64_t epoch) {
  if (polled_ != 0 && to_word(epoch) == polled_) header_->ready.store(polled_, std::memory_order_release);
}

std::int64_t Inbox::held() {
  const EpochWord ready = header_->ready.load(std::memory_order_relaxed);
  if (ready > running_ && banks_.read(leading_) && leading_[kCommitted] == ready) return to_epoch(ready);
  return to_epoch(running_);
}

void Inbox::switched(std::int64_t epoch, std::uint64_t step) {
  running_ = to_word(epoch);
  const std::uint64_t number = header_->switches.load(std::memory_order_relaxed) + 1;
  Switch& to = header_->switch_of[number % 2];
  to.epoch.store(running_, std::memory_order_relaxed);
  to.step.store(step, std::memory_order_relaxed);
  to.digest.store(polled_digest_, std::memory_order_relaxed);
  header_->switches.store(number, std::memory_order_release);
}

Outbox::Outbox(Header& header, const Geometry& geometry, std::uint64_t* mail)
    : geometry_(geometry), banks_(header.mail, mail, Layout(geometry).mail_words), words_(Layout(geometry).mail_words) {
  // Nobody else writes mail, so this cannot be overtaken.
  static_cast<void>(banks_.read(words_));
}

bool Outbox::offer(const Offer& offer) {
  const Placement::Fields& fields = offer.placement->fields();
  const auto cells = fields.expert_of_slot.cells();
  if (fields.slots_of_gpu.size() > wire::kGpusMax || offer.placement->slots() > geometry_.slots_max ||
      offer.copies.size() > geometry_.map_cells()) {
    return false;
  }
  if (words_[kOffered] == offer.epoch + 1 && words_[kDigest] == offer.digest) return true;
  words_[kOffered] = offer.epoch + 1;
  words_[kBase] = offer.base_epoch ? *offer.base_epoch + 1 : 0;
  words_[kDigest] = offer.digest;
  words_[kChainLeft] = offer.chain_left;
  words_[kGpus] = fields.slots_of_gpu.size();
  words_[kSlots] = offer.placement->slots();
  words_[kCopies] = offer.copies.size();
  const Parts parts(geometry_);
  pack_words(std::span(fields.slots_of_gpu), words_.data() + parts.slots_of_gpu);
  pack_words(cells, words_.data() + parts.map);
  std::vector<ek_copy> copies;
  copies.reserve(offer.copies.size());
  for (const wire::Copy& copy : offer.copies) {
    copies.push_back({static_cast<std::uint16_t>(copy.layer), static_cast<std::uint16_t>(copy.expert),
                      static_cast<std::uint16_t>(copy.from_gpu), static_cast<std::uint16_t>(copy.to_gpu)});
  }
  pack_words(std::span<const ek_copy>(copies), words_.data() + parts.copies);
  publish();
  return true;
}

void Outbox::commit(std::uint64_t epoch) {
  if (words_[kCommitted] == epoch + 1) return;
  words_[kCommitted] = epoch + 1;
  publish();
}

void Outbox::withdraw(std::uint64_t epoch) {
  if (words_[kOffered] != epoch + 1 || words_[kCommitted] == epoch + 1) return;
  words_[kOffered] = 0;
  publish();
}

void Outbox::publish() {
  std::uint64_t* const bank = banks_.begin();
  for (std::size_t i = 0; i < words_.size(); ++i) store_word(bank + i, words_[i]);
  banks_.publish();
}

}  // namespace evenkeel::probe
