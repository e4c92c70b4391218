"""Engine: moves documents through the stages; queue, runner, breaker, acknowledger, quarantine."""
