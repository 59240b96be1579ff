"""The pure rules: no await, clock, environment, network or litellm."""
