// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.
//
// Threads that do short pieces of work one after the other, with no wait for a scheduler in
// between: waking a thread takes as long as a layer of a BERT on one question. Where more
// threads want to run than there are processors, one that waits awake is in the way of those
// that work: so nobody waits so for long, and a team that was slow once works no more.

#ifndef REALM_OPS_COMMON_TEAM_H_
#define REALM_OPS_COMMON_TEAM_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>

namespace realm {

// Starts a function on some other thread, sooner or later.
using Start = std::function<void(std::function<void()>)>;

// One thread owns it and says what is to be done; others help when they get to it. The owner
// waits for work that another has begun, and never for one that has not come.
class Team {
 public:
  using Task = std::function<void(int64_t)>;

  // With `helpers` that `start` starts. They keep the team; its owner says when it is over.
  static std::shared_ptr<Team> With(int64_t helpers, const Start& start) {
    auto team = std::make_shared<Team>();
    for (int64_t i = 0; i < helpers; ++i) start([team] { team->Help(); });
    return team;
  }

  // Calls task(0) ... task(tasks - 1), at most 2^32 - 1 of them, in any order, and waits.
  void Do(int64_t tasks, const Task& task) {
    if (over_.load(std::memory_order_relaxed) || tasks == 1) {
      for (int64_t i = 0; i < tasks; ++i) task(i);
      return;
    }
    if (tasks == 0) return;
    task_.store(&task, std::memory_order_relaxed);
    left_.store(tasks, std::memory_order_relaxed);
    phase_ += uint64_t{1} << 32;
    open_.store(phase_ | tasks, std::memory_order_release);
    const auto begun = Clock::now();
    int64_t own = 0;
    while (TakeOne()) ++own;
    if (left_.load(std::memory_order_acquire) == 0) return;
    // As long as a task takes, and longer by what a processor's other work explains.
    const auto worked = Clock::now();
    const auto enough = worked + kPatience + 2 * (worked - begun) / (own + 1);
    for (int turn = 0; left_.load(std::memory_order_acquire) > 0; ++turn) {
      if (turn % 64 == 0 && Clock::now() > enough) End();
      Pause(turn);
    }
  }

  void End() { over_.store(true, std::memory_order_release); }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::microseconds kPatience{300};

  void Help() {
    auto enough = Clock::now() + kPatience;
    for (int turn = 0; !over_.load(std::memory_order_acquire); ++turn) {
      const bool worked = TakeOne();
      if (worked) enough = Clock::now() + kPatience;
      if (turn % 64 == 0 && Clock::now() > enough) return;
      if (!worked) Pause(turn);
    }
  }

  // The phase and how many of its tasks nobody has taken are in one word: while some are left
  // the phase lasts, so `task_` is its own if the word has not changed meanwhile.
  bool TakeOne() {
    uint64_t open = open_.load(std::memory_order_acquire);
    while (static_cast<uint32_t>(open) > 0) {
      const Task* task = task_.load(std::memory_order_relaxed);
      if (open_.compare_exchange_weak(open, open - 1, std::memory_order_acquire)) {
        (*task)(static_cast<uint32_t>(open) - 1);
        left_.fetch_sub(1, std::memory_order_release);
        return true;
      }
    }
    return false;
  }

  // For a moment without leaving the processor, which may be the last one that is free.
  static void Pause(int turn) {
#if defined(__x86_64__)
    if (turn % 64 != 63) return __builtin_ia32_pause();
#else
    (void)turn;
#endif
    std::this_thread::yield();
  }

  std::atomic<uint64_t> open_{0};
  std::atomic<const Task*> task_{nullptr};
  std::atomic<int64_t> left_{0};  // of the phase's tasks those that are not done
  std::atomic<bool> over_{false};
  uint64_t phase_ = 0;  // the owner's
};

}  // namespace realm

#endif  // REALM_OPS_COMMON_TEAM_H_
