#include "cluster/admission.h"

#include <gtest/gtest.h>

namespace aloft::cluster {
namespace {

using namespace std::chrono_literals;

Tenant tenant(double rate, std::uint32_t burst) {
  Tenant tenant;
  tenant.name = "acme";
  tenant.opens_per_second = rate;
  tenant.open_burst = burst;
  return tenant;
}

TEST(Admission, a_burst_goes_through_and_what_follows_is_told_when_to_come_again) {
  Admission admission;
  const auto now = Admission::Clock::now();
  const Tenant acme = tenant(10, 3);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(admission.refuse(acme, now));
  EXPECT_EQ(admission.refuse(acme, now), 100ms);
  EXPECT_EQ(admission.refuse(acme, now + 40ms), 60ms);
  EXPECT_FALSE(admission.refuse(acme, now + 100ms));
  EXPECT_TRUE(admission.refuse(acme, now + 100ms));
}

TEST(Admission, a_rest_fills_the_bucket_up_to_the_burst_and_no_further) {
  Admission admission;
  const auto now = Admission::Clock::now();
  const Tenant acme = tenant(100, 2);
  EXPECT_FALSE(admission.refuse(acme, now));
  EXPECT_FALSE(admission.refuse(acme, now + 1h));
  EXPECT_FALSE(admission.refuse(acme, now + 1h));
  EXPECT_TRUE(admission.refuse(acme, now + 1h));
}

TEST(Admission, tenants_do_not_share_a_bucket) {
  Admission admission;
  const auto now = Admission::Clock::now();
  Tenant other = tenant(1, 1);
  other.name = "other";
  EXPECT_FALSE(admission.refuse(tenant(1, 1), now));
  EXPECT_TRUE(admission.refuse(tenant(1, 1), now));
  EXPECT_FALSE(admission.refuse(other, now));
}

TEST(Admission, limits_that_were_lowered_count_at_once) {
  Admission admission;
  const auto now = Admission::Clock::now();
  EXPECT_FALSE(admission.refuse(tenant(1, 100), now));
  EXPECT_FALSE(admission.refuse(tenant(1, 1), now));
  EXPECT_EQ(admission.refuse(tenant(1, 1), now), 1000ms);
  EXPECT_EQ(admission.refuse(tenant(0, 1), now), 60s);
}

}  // namespace
}  // namespace aloft::cluster
