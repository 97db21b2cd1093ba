import eslint from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

export default defineConfig(
  globalIgnores(['**/dist/', '**/node_modules/', '**/runs/', '**/.turbo/', 'coverage/']),
  eslint.configs.recommended,
  tseslint.configs.strict,
  {
    languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly' } },
    rules: {
      // Typed arrays and shapes are indexed inside checked bounds throughout.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // The tensor format spells its fields V_mag, V_sign, O, G everywhere.
      camelcase: 'off',
      '@typescript-eslint/switch-exhaustiveness-check': 'off',
      eqeqeq: 'error',
    },
  },
  {
    files: ['packages/train/test/fixtures/page/*.js'],
    languageOptions: {
      globals: { document: 'readonly', onmessage: 'writable', postMessage: 'readonly', Worker: 'readonly' },
    },
  },
);
