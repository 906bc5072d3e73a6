/** The type of a rule of the suite. */
import type { Bench } from './bench.js';
import type { Setting } from './factory.js';

/** Defines a rule: its title continues the sentence "a target …". */
export type Rule = (title: string, check: (bench: Bench) => Promise<void>) => void;

/** Defines the rules of one subject. */
export type Rules = (rule: Rule, setting: Setting) => void;
