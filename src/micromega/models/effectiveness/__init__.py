"""What a post for an event will bring: f(i, c, e, t) of Influencer Campaign Optimization, sections 5 to 7."""
