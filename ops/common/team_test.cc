// Copyright 2026 The realm_tf Authors. Licensed under the Apache License, Version 2.0.

#include "ops/common/team.h"

#include <atomic>
#include <cstdio>
#include <thread>
#include <vector>

#include "ops/common/run_tests.h"

namespace realm {
namespace {

// Every task of every phase is done once, and before the next phase begins.
void TestPhases(int64_t helpers) {
  std::vector<std::thread> threads;
  const auto team = Team::With(helpers, [&](std::function<void()> help) {
    threads.emplace_back(std::move(help));
  });
  int64_t wrong = 0;
  for (int phase = 0; phase < 3000; ++phase) {
    const int64_t tasks = random_bits() % 9;
    std::vector<int> times(tasks);  // not atomic: each is one task's
    team->Do(tasks, [&](int64_t task) { ++times[task]; });
    for (int count : times) wrong += count != 1;
  }
  team->End();
  for (std::thread& thread : threads) thread.join();
  if (wrong == 0) return;
  std::printf("%d tasks were not done once\n", static_cast<int>(wrong));
  ++failures;
}

// Helpers that come when all is over find nothing, and nobody waits for them.
void TestLateHelpers() {
  std::vector<std::function<void()>> late;
  int done = 0;
  {
    const auto team = Team::With(
        2, [&](std::function<void()> help) { late.push_back(std::move(help)); });
    team->Do(5, [&](int64_t) { ++done; });
    team->End();
  }
  for (const auto& help : late) help();
  if (done == 5) return;
  std::printf("%d of 5 tasks are done\n", done);
  ++failures;
}

void TestAll() {
  for (int64_t helpers : {0, 1, 3}) TestPhases(helpers);
  TestLateHelpers();
}

struct Nothing {
  const char* name;
};

}  // namespace
}  // namespace realm

int main(int argc, char** argv) {
  return realm::RunTests(argc, argv, std::vector<realm::Nothing>{}, realm::TestAll);
}
